"""How frames are read: the section of a configuration that sources have."""

from typing import Annotated, Literal

from pydantic import Field

from foundation.config import Section
from tracker.config.starts import Starts


class LiveConfig(Section):
    """How live streams are read."""

    queue_frames: int = Field(default=2, ge=1)
    """Frames of one camera that may wait; when a newer one comes the oldest goes and is counted.

    On a machine that is just fast enough each further frame saves drops; on one that is too slow it only
    makes everything later by one frame (measured in docs/sources.md)."""

    overload: Literal["drop", "skip", "smaller"] = "skip"
    """What is done with frames that come while there is no time to look for people in them. ``skip``: tracks
    coast through them, as many as there is time for; ``smaller``: people are looked for in smaller pictures,
    where the detector can do that, until time suffices; ``drop``: nothing, they are dropped."""

    open_timeout_s: float = Field(default=10.0, gt=0)
    """Seconds to wait for a stream, or for a video at an http address, to open."""

    read_timeout_s: float = Field(default=5.0, gt=0)
    """Seconds without a frame after which a stream counts as lost."""

    first_pause_s: float = Field(default=0.5, gt=0)
    """Pause before the first try to reconnect; each later pause is twice as long.

    A connection that gave frames for longer than the last pause starts again with this one."""

    max_pause_s: float = Field(default=30.0, gt=0)
    """The longest pause between two tries, and every pause while a password is refused that worked before."""

    max_tick_wait_s: float = Field(default=0.02, ge=0)
    """How long a tick that holds a frame waits for frames of other cameras, if they are due by then.

    Half a frame at 25 frames/s: two such cameras share nearly all ticks, and no frame waits longer."""


class SourceConfig(Section):
    """How frames are read."""

    image_frame_rate: float = Field(default=30.0, gt=0)
    """Frames per second of a folder of images that does not say."""

    secret_path_parts: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Which parts of the path of a camera's address are secret, counted from 1: [2] hides PASSWORD in
    rtsp://host/user/PASSWORD/ch1, in names, messages and files. Who logs in, and values behind ?, are hidden
    always."""

    max_gap_s: float = Field(default=3600.0, gt=0)
    """Seconds for which a recording may pause. Of a longer gap between two time stamps of a video its clock
    is the cause: time goes on without it, and that is said."""

    align: Literal["none", "names", "metadata"] = "none"
    """What tells when recordings began: ``none``, all began together; ``names``, the date and time in the
    name of each; ``metadata``, what each file says of when it was made."""

    starts: Starts = Field(default={})
    """When recordings began, by camera; of others `align` tells it. All in seconds ({cam1: 0, cam2: 12.4};
    others begin at 0), or all as dates and times ({cam1: 2026-11-28T14:03:22})."""

    loop: bool = False
    """Play recordings again and again at their own pace, as if they were live cameras."""

    live: LiveConfig = LiveConfig()
