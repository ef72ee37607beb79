"""What the pictures of all kinds share."""
