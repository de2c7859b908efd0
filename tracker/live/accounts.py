"""Users, sessions and tokens: who somebody is who shows a cookie, a token or a password."""

import hashlib
import json
import secrets
import threading
import time
from collections.abc import Sequence

from foundation.errors import ReuniteError
from tracker.live.rights import Role, Viewer
from tracker.live.site import Site

SESSION_S = 12 * 3600.0
"""A session ends after this long without a request."""

ONE_TIME_S = 600.0
"""The token that is printed at the start is good for so long, once."""

TRIES, TRIES_S = 5, 300.0
"""More wrong passwords than this within this time, from one address or for one user, and all are refused."""

MIN_PASSWORD = 10
"""Letters."""

OWNER = "owner"
"""Whoever holds the token that was printed on the machine itself."""


class Accounts:
    """Knows everybody who may come in."""

    def __init__(self, site: Site) -> None:
        from argon2 import PasswordHasher  # an extra, and help is given without it

        self._site, self._hasher = site, PasswordHasher()
        # Checked where there is no such user, so that the time taken does not tell.
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    # Users

    def has_users(self) -> bool:
        """Whether anybody has a password."""
        return self._site.row("SELECT 1 FROM user") is not None

    def users(self) -> list[dict[str, object]]:
        """All of them, without their passwords."""
        rows = self._site.rows("SELECT name, role, cameras FROM user ORDER BY name")
        return [{"name": row["name"], "role": row["role"], "cameras": _keys(row["cameras"])} for row in rows]

    def add_user(self, name: str, password: str, role: Role, cameras: frozenset[int] | None) -> None:
        """Add a user, or give them another password, role and cameras; their sessions end.

        Raises:
            ReuniteError: The name or the password cannot be used.
        """
        if not name or len(name) > 64 or not name.isprintable() or ":" in name or name == OWNER:
            raise ReuniteError(
                f"{name!r}: a user's name has 1 to 64 letters, no colon, and is not {OWNER!r}; choose another"
            )
        if not MIN_PASSWORD <= len(password) <= 1000:
            raise ReuniteError(f"the password must have {MIN_PASSWORD} letters or more; choose a longer one")
        hashed = self._hasher.hash(password)
        with self._site.writing() as connection:
            connection.execute("DELETE FROM session WHERE user = ?", (name,))
            connection.execute(
                "INSERT INTO user VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                "password = excluded.password, role = excluded.role, cameras = excluded.cameras",
                (name, hashed, role.name.lower(), _as_json(cameras)),
            )

    def remove_user(self, name: str) -> bool:
        """Take a user away with all sessions; whether there was one."""
        with self._site.writing() as connection:
            return connection.execute("DELETE FROM user WHERE name = ?", (name,)).rowcount > 0

    def check_password(self, name: str, password: str) -> bool:
        """Whether this is the user's password; takes as long if there is no such user."""
        from argon2.exceptions import InvalidHashError, VerificationError

        row = self._site.row("SELECT password FROM user WHERE name = ?", (name,))
        try:
            self._hasher.verify(row["password"] if row else self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return row is not None

    # Sessions

    def one_time_token(self) -> str:
        """A token that opens one session as the owner, once."""
        token = secrets.token_urlsafe(24)
        with self._site.writing() as connection:
            connection.execute("DELETE FROM one_time WHERE expires < ?", (time.time(),))
            connection.execute("INSERT INTO one_time VALUES (?, ?)", (_hash(token), time.time() + ONE_TIME_S))
        return token

    def use_one_time(self, token: str) -> bool:
        """Whether this is such a token, and was not used before."""
        with self._site.writing() as connection:
            done = connection.execute(
                "DELETE FROM one_time WHERE token = ? AND expires >= ?", (_hash(token), time.time())
            )
            return done.rowcount > 0

    def open_session(self, user: str) -> str:
        """A session of a user, or of the owner; the token for the cookie."""
        token = secrets.token_urlsafe(32)
        with self._site.writing() as connection:
            connection.execute("DELETE FROM session WHERE expires < ?", (time.time(),))
            connection.execute(
                "INSERT INTO session VALUES (?, ?, ?)",
                (_hash(token), None if user == OWNER else user, time.time() + SESSION_S),
            )
        return token

    def close_session(self, token: str) -> None:
        """Sign out."""
        with self._site.writing() as connection:
            connection.execute("DELETE FROM session WHERE token = ?", (_hash(token),))

    def of_session(self, token: str) -> Viewer | None:
        """Whose session this is; None where it is nobody's, or over."""
        row = self._site.row(
            "SELECT session.user, expires, role, cameras FROM session "
            "LEFT JOIN user ON user.name = session.user WHERE token = ?",
            (_hash(token),),
        )
        now_s = time.time()
        if row is None or row["expires"] < now_s:
            return None
        if row["expires"] < now_s + SESSION_S / 2:
            with self._site.writing() as connection:
                connection.execute(
                    "UPDATE session SET expires = ? WHERE token = ?", (now_s + SESSION_S, _hash(token))
                )
        if row["user"] is None:
            return Viewer(OWNER, Role.ADMIN, None)
        return Viewer(row["user"], Role.of(row["role"]), _from_json(row["cameras"]))

    # Tokens

    def tokens(self) -> list[dict[str, object]]:
        """All API tokens, without what opens them."""
        rows = self._site.rows("SELECT id, name, role, cameras, created FROM token ORDER BY id")
        return [{**dict(row), "cameras": _keys(row["cameras"])} for row in rows]

    def add_token(self, name: str, role: Role, cameras: frozenset[int] | None) -> tuple[int, str]:
        """A new API token: its id, and what opens, which is kept nowhere."""
        token = f"reunite_{secrets.token_urlsafe(32)}"
        with self._site.writing() as connection:
            done = connection.execute(
                "INSERT INTO token (token, name, role, cameras, created) VALUES (?, ?, ?, ?, ?)",
                (_hash(token), name, role.name.lower(), _as_json(cameras), time.time()),
            )
            assert done.lastrowid is not None
        return done.lastrowid, token

    def remove_token(self, number: int) -> bool:
        """Take a token away; whether there was one."""
        with self._site.writing() as connection:
            return connection.execute("DELETE FROM token WHERE id = ?", (number,)).rowcount > 0

    def of_token(self, token: str) -> Viewer | None:
        """Whose API token this is; None where it is nobody's."""
        row = self._site.row("SELECT name, role, cameras FROM token WHERE token = ?", (_hash(token),))
        if row is None:
            return None
        return Viewer(f"token:{row['name']}", Role.of(row["role"]), _from_json(row["cameras"]))


class Tries:
    """Counts wrong passwords; of a user and of an address."""

    MAX_KEYS = 10_000

    def __init__(self) -> None:
        self._failed: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def wait_s(self, keys: Sequence[str]) -> float:
        """How long nothing is tried for one of these keys; 0: now."""
        now_s = time.monotonic()
        with self._lock:
            waits = [0.0]
            for key in keys:
                recent = [it for it in self._failed.get(key, ()) if it > now_s - TRIES_S]
                if len(recent) >= TRIES:
                    waits.append(recent[-TRIES] + TRIES_S - now_s)
            return max(waits)

    def fail(self, keys: Sequence[str]) -> None:
        """A wrong password."""
        now_s = time.monotonic()
        with self._lock:
            if len(self._failed) > self.MAX_KEYS:
                old = now_s - TRIES_S
                self._failed = {key: it for key, it in self._failed.items() if it[-1] > old}
            for key in keys:
                self._failed[key] = [*self._failed.get(key, [])[-TRIES:], now_s]

    def succeed(self, keys: Sequence[str]) -> None:
        """The right password: what failed before is forgiven."""
        with self._lock:
            for key in keys:
                self._failed.pop(key, None)


def _hash(token: str) -> bytes:
    # Tokens are random, so that one round suffices: there is nothing to be guessed.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _as_json(cameras: frozenset[int] | None) -> str | None:
    return None if cameras is None else json.dumps(sorted(cameras))


def _from_json(cameras: str | None) -> frozenset[int] | None:
    return None if cameras is None else frozenset(json.loads(cameras))


def _keys(cameras: str | None) -> list[str] | None:
    found = _from_json(cameras)
    return None if found is None else [f"c{it}" for it in sorted(found)]
