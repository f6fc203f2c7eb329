"""What users need to test workflows of their own."""
