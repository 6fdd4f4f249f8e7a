"""What people get wrong, made on a real terminal."""
