"""A camera on loopback: an RTSP server that sends an H.264 file round and round, never encoding again.

Runs under the Python that has GStreamer's bindings (Debian: python3-gi, gir1.2-gst-rtsp-server-1.0),
not under the project's own: ``/usr/bin/python3 rtsp_server.py CLIP --port PORT``. It prints ``ready``
when it listens. The clip must have no B-frames, since pictures are stamped in the order of the file.
"""

import argparse
import itertools
import sys
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402


def read_pictures(clip: str) -> "list[bytes]":
    """The encoded pictures of a file, one H.264 access unit each."""
    pipeline = Gst.parse_launch(
        "filesrc name=file ! qtdemux ! h264parse config-interval=-1"
        " ! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=out sync=false"
    )
    pipeline.get_by_name("file").set_property("location", clip)
    pipeline.set_state(Gst.State.PLAYING)
    pictures = []
    while sample := pipeline.get_by_name("out").emit("pull-sample"):
        pictures.append(bytes(sample.get_buffer().extract_dup(0, sample.get_buffer().get_size())))
    pipeline.set_state(Gst.State.NULL)
    return pictures


def make_factory(pictures: "list[bytes]", rate: int) -> Any:
    """What gives each viewer the clip from its first picture, at its own pace."""

    def configure(_: Any, media: Any) -> None:
        sent = itertools.count()

        def push(source: Any, _: int) -> None:
            number = next(sent)
            buffer = Gst.Buffer.new_wrapped(pictures[number % len(pictures)])
            buffer.pts = buffer.dts = number * Gst.SECOND // rate
            buffer.duration = Gst.SECOND // rate
            source.emit("push-buffer", buffer)

        media.get_element().get_by_name("source").connect("need-data", push)

    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        "( appsrc name=source is-live=true format=time"
        f" caps=video/x-h264,stream-format=byte-stream,alignment=au,framerate={rate}/1"
        " ! rtph264pay name=pay0 pt=96 )"
    )
    factory.connect("media-configure", configure)
    return factory


def require_password(server: Any, factory: Any, login: str) -> None:
    """Let only ``login`` (user:password) see the stream."""
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(*login.split(":")), token)
    server.set_auth(auth)
    rights = "viewer,media.factory.access=true,media.factory.construct=true"
    factory.add_role_from_structure(Gst.Structure.new_from_string(rights))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip")
    parser.add_argument("--port", required=True)
    parser.add_argument("--rate", type=int, default=25, help="pictures per second")
    parser.add_argument("--login", help="user:password")
    arguments = parser.parse_args()
    Gst.init(None)
    factory = make_factory(read_pictures(arguments.clip), arguments.rate)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(arguments.port)
    if arguments.login:
        require_password(server, factory, arguments.login)
    server.get_mount_points().add_factory("/live", factory)
    if server.attach(None) == 0:
        sys.exit(f"cannot listen on port {arguments.port}")
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
