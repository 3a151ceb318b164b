from twisted.application.service import ServiceMaker

from twistedcam.plugin import ModeCameraPlugin

camstream = ServiceMaker("camstream", "twistedcam.tap", "Serve cameras live over TCP and HTTP.", "camstream")
camstream_client = ServiceMaker(
    "camstream-client", "twistedcam.client_tap", "Watch a camera of a camstream server.", "camstream-client"
)
picamera = ModeCameraPlugin("picamera", "twistedcam.capture.picamera.open_picamera")
