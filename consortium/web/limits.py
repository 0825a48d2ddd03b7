"""Refuses bodies that are larger than any call needs, before anything reads them."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consortium.web import problems
from consortium.web.errors import UploadTooLarge

MAX_BODY = 2 << 20
"""Bytes of a JSON body or a form. The parts of a bundle are streamed and have their own limit."""
_STREAMED = ("/api/v1/contributions/", "/api/v1/rolls/")


class Bodies:
    """ASGI middleware: an announced size is refused at once, an unannounced one when it comes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a limit on its body."""
        if scope["type"] != "http" or _is_streamed(scope):
            await self.app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced[:20]) > MAX_BODY:
            found = problems.problem_of(UploadTooLarge(f"a body has at most {MAX_BODY} bytes"))
            assert found is not None
            await problems.answer(*found)(scope, receive, send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                # As if the sender had gone: the rest is never read.
                return {"type": "http.disconnect"}
            return message

        await self.app(scope, counted, send)


def _is_streamed(scope: Scope) -> bool:
    return scope["method"] == "PUT" and str(scope["path"]).startswith(_STREAMED)
