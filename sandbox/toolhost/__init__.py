"""What runs inside a container. Standard library only: it is shipped into the image as it is."""
