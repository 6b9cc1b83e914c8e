"""Model: the convolutional network, and the layers that make it fast under a run axis."""
