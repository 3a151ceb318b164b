from twisted.application.service import ServiceMaker

camstream = ServiceMaker("camstream", "twistedcam.tap", "Serve cameras live over TCP and HTTP.", "camstream")
camstream_client = ServiceMaker(
    "camstream-client", "twistedcam.client_tap", "Watch a camera of a camstream server.", "camstream-client"
)
