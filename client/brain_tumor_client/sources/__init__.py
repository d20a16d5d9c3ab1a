"""From files and folders to the images that are sent, one after the other and in an order that is always the same."""
