"""How the picture moved since the frame before, because the camera did; one file for each way to know it."""
