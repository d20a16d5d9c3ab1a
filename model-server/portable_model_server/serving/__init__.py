"""What is served: models, their versions, and predictions on them."""
