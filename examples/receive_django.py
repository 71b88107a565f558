"""Plivo's callbacks in Django, in one file: verified, then a typed event. In a project, ``callback`` is a view.

Run it: ``PLIVO_AUTH_TOKEN=... PUBLIC_URL=https://hooks.example.com python examples/receive_django.py runserver``
"""

import os
import sys
import time
from urllib.parse import quote

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from ringback.receiver.source import Malformed, NotVerified, Source

source = Source(tokens=tuple(os.environ["PLIVO_AUTH_TOKEN"].split(",")), public_url=os.environ["PUBLIC_URL"])

if not settings.configured:
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY=os.environ.get("SECRET_KEY", "example"))


# The signature stands in for the CSRF token, which a provider does not have.
@csrf_exempt
@require_http_methods(["GET", "POST"])
def callback(request: HttpRequest) -> HttpResponse:
    """Take in a status callback or an inbound message."""
    query = request.META.get("QUERY_STRING", "")
    raw = request.META.get("RAW_URI") or request.META.get("REQUEST_URI") or quote(request.path)
    try:
        event = source.event(
            method=request.method or "",
            target=raw.partition("?")[0] + (f"?{query}" if query else ""),
            headers=list(request.headers.items()),
            # Before anything asks for request.POST, which reads the body away.
            body=request.body,
            now_us=time.time_ns() // 1000,
        )
    except NotVerified as refused:
        return HttpResponse(refused.reason, status=403)
    except Malformed:
        return HttpResponse("no callback", status=400)
    # Store the event here, before it is answered; a rank lower than the one stored is old news.
    print(event.message_id, event.status, event.rank)  # noqa: T201 - an example
    return HttpResponse()


urlpatterns = [path("sms", callback)]
application = WSGIHandler()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
