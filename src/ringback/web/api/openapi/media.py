"""Descriptions of the Media resource, of what messages carry, and of the links to it."""

from typing import Final

from ringback.web.api.openapi import shapes
from ringback.web.api.openapi.shapes import PAGE, TIME, UUID, Operation, or_null, text, word

_COLLECTION: Final = "/v1/Account/{auth_id}/Media/"
_OF_MESSAGE: Final = "/v1/Account/{auth_id}/Message/{message_uuid}/Media/"
_LINK: Final = "/media/Account/{account_id}"

MEDIUM: Final = {
    "content_type": text(),
    "file_name": text(),
    "media_id": UUID,
    "media_url": text("A signed link that expires"),
    "url": text("The same link, where some SDKs look for it"),
    "size": shapes.whole(0, description="Bytes"),
    "upload_time": TIME,
}
_TAKEN: Final = {
    "content_type": text(),
    "file_name": text(),
    "media_id": or_null(UUID),
    "media_url": or_null(text()),
    "url": or_null(text()),
    "size": shapes.whole(0, description="Bytes"),
    "upload_time": or_null(TIME),
    "status": word("success", "failed"),
    "status_code": shapes.whole(200),
    "error_code": {"type": ["integer", "null"]},
    "error_message": or_null(text()),
}
_UPLOAD: Final = shapes.record(
    {"file": shapes.many(text(format="binary"), maxItems=10)}, says="Each file has a status of its own"
)
_NONE_TAKEN: Final = shapes.answer(
    {"error": text("That of the first file", minLength=1)},
    optional={"objects": shapes.many(shapes.record(_TAKEN))},
    says="No file was taken",
)
_CARRIED: Final = {**MEDIUM, "message_uuid": UUID}


def _link(path: str, name: str) -> Operation:
    return Operation(
        method="GET",
        path=path,
        name=name,
        says="Read a file by its signed link",
        tag="Media",
        query={"expires": text("Part of the link"), "signature": text("Part of the link")},
        answers={200: "application/octet-stream", 304: ""},
        errors=(404, 500, 503),
        with_credentials=False,
    )


OPERATIONS: Final = (
    Operation(
        method="POST",
        path=_COLLECTION,
        name="uploadMedia",
        says="Take files in, ten at most, to be sent with MMS",
        tag="Media",
        body=_UPLOAD,
        body_type=shapes.MULTIPART,
        answers={
            201: shapes.answer({"objects": shapes.many(shapes.record(_TAKEN))}, says="One file or more is on disk"),
            **dict.fromkeys((400, 413, 415, 507), _NONE_TAKEN),
        },
    ),
    Operation(
        method="GET",
        path=_COLLECTION,
        name="listMedia",
        says="List uploads, newest first",
        tag="Media",
        query=PAGE,
        answers={200: shapes.page(shapes.record(MEDIUM))},
        errors=(400,),
    ),
    Operation(
        method="GET",
        path=_COLLECTION + "{media_id}/",
        name="getMedia",
        says="Read one upload",
        tag="Media",
        answers={200: shapes.answer(MEDIUM)},
        errors=(404,),
    ),
    Operation(
        method="GET",
        path=_OF_MESSAGE + "{media_id}/",
        name="getMediaOfMessage",
        says="Read one of them",
        tag="Media",
        answers={200: shapes.answer(_CARRIED)},
        errors=(404,),
    ),
    Operation(
        method="GET",
        path=_OF_MESSAGE,
        name="listMediaOfMessage",
        says="List what a message carries",
        tag="Media",
        answers={
            200: shapes.answer(
                {
                    "message_uuid": UUID,
                    "meta": shapes.meta(),
                    "objects": shapes.many(shapes.record(_CARRIED)),
                }
            )
        },
        errors=(404,),
    ),
    Operation(
        method="DELETE",
        path=_OF_MESSAGE,
        name="deleteMediaOfMessage",
        says="Take all media off a message",
        tag="Media",
        answers={204: ""},
        errors=(404,),
    ),
    _link(_LINK + "/Media/{media_id}", "readUpload"),
    _link(_LINK + "/Message/{message_uuid}/Media/{media_id}", "readMediaOfMessage"),
)
