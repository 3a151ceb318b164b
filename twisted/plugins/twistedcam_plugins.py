from twisted.application.service import ServiceMaker

camstream = ServiceMaker("camstream", "twistedcam.tap", "Serve a camera live to whoever watches.", "camstream")
camstream_client = ServiceMaker(
    "camstream-client", "twistedcam.client_tap", "Watch a camera of a camstream server.", "camstream-client"
)
