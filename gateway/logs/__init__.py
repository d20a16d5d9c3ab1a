"""What the gateway logs, and how nothing in it can identify a patient."""
