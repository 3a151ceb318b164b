"""A live-camera service: every viewer sees the camera as it is now."""
