"""A camera on loopback that shows what time it is: an RTSP server of pictures made when they are due.

Runs under the Python that has GStreamer's bindings, as `rtsp_server` does: ``/usr/bin/python3 rtsp_clock.py
--port PORT``. Milliseconds of Unix time, modulo 2 ** `BITS`, stand in the upper rows as blocks.
It sends JPEG over RTP.
"""

import argparse
import sys
import time
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402

WIDTH, HEIGHT = 640, 360
BITS, BLOCK = 20, 32
GREY = bytes([110])


def picture(stamp: int) -> bytes:
    """A grey picture (I420) with a number in blocks, the highest bit on the left."""
    row = b"".join((b"\xeb" if stamp >> (BITS - 1 - bit) & 1 else b"\x10") * BLOCK for bit in range(BITS))
    luma = row[:WIDTH].ljust(WIDTH, GREY) * BLOCK + GREY * (WIDTH * (HEIGHT - BLOCK))
    return luma + b"\x80" * (WIDTH * HEIGHT // 2)


def configure(_: Any, media: Any, rate: int) -> None:
    """Push a picture whenever one is due."""
    source = media.get_element().get_by_name("source")

    def push() -> bool:
        buffer = Gst.Buffer.new_wrapped(picture(int(time.time() * 1000) % (1 << BITS)))
        return bool(source.emit("push-buffer", buffer) == Gst.FlowReturn.OK)

    GLib.timeout_add(1000 // rate, push)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", required=True)
    parser.add_argument("--rate", type=int, default=15)
    arguments = parser.parse_args()
    Gst.init(None)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        "( appsrc name=source is-live=true format=time do-timestamp=true"
        f" caps=video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate={arguments.rate}/1"
        " ! jpegenc quality=90 ! rtpjpegpay name=pay0 pt=26 )"
    )
    factory.connect("media-configure", configure, arguments.rate)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(arguments.port)
    server.get_mount_points().add_factory("/live", factory)
    if server.attach(None) == 0:
        sys.exit(f"cannot listen on port {arguments.port}")
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
