"""The lines that point each official SDK at a Ringback, as they are printed and documented.

They are written with the default base URL. Credentials come from ``PLIVO_AUTH_ID`` and ``PLIVO_AUTH_TOKEN``, which
every SDK reads when its client is given none.
"""

from enum import StrEnum
from typing import Final

DEFAULT_URL: Final = "http://127.0.0.1:8080"


class Language(StrEnum):
    """A language with an official SDK; ``curl`` is for the shell."""

    PYTHON = "python"
    NODE = "node"
    GO = "go"
    PHP = "php"
    RUBY = "ruby"
    JAVA = "java"
    DOTNET = "dotnet"
    CURL = "curl"


COMMENT: Final = {
    Language.PYTHON: "# ",
    Language.NODE: "// ",
    Language.GO: "// ",
    Language.PHP: "// ",
    Language.RUBY: "# ",
    Language.JAVA: "// ",
    Language.DOTNET: "// ",
    Language.CURL: "",
}
"""What begins a line that is not code; a shell can run what the others only show."""


def snippet(language: Language, url: str) -> str:
    """Return the lines for a Ringback at ``url``."""
    return _SNIPPETS[language].replace(DEFAULT_URL, url)


_PYTHON: Final = """\
import plivo
import plivo.rest.client

for name in (
    "PLIVO_API_BASE_URI",
    "API_VOICE_BASE_URI",
    "API_VOICE_BASE_URI_FALLBACK_1",
    "API_VOICE_BASE_URI_FALLBACK_2",
):
    setattr(plivo.rest.client, name, "http://127.0.0.1:8080/v1/Account")

client = plivo.RestClient()
"""

_NODE: Final = """\
const axios = require("axios");
const plivo = require("plivo");

const send = axios.getAdapter(axios.defaults.adapter);
axios.defaults.adapter = (config) =>
  send({ ...config, url: config.url.replace("https://api.plivo.com", "http://127.0.0.1:8080") });

const client = new plivo.Client();
"""

_GO: Final = """\
package main

import (
	"net/http"
	"net/url"
	"time"

	"github.com/plivo/plivo-go/v7"
)

type toRingback struct{ base *url.URL }

func (to toRingback) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.URL.Scheme, request.URL.Host, request.Host = to.base.Scheme, to.base.Host, to.base.Host
	return http.DefaultTransport.RoundTrip(request)
}

func newClient() (*plivo.Client, error) {
	base, err := url.Parse("http://127.0.0.1:8080")
	if err != nil {
		return nil, err
	}
	sender := &http.Client{Transport: toRingback{base}, Timeout: 10 * time.Second}
	return plivo.NewClient("", "", &plivo.ClientOptions{HttpClient: sender})
}
"""

_PHP: Final = """\
use GuzzleHttp\\Client;
use GuzzleHttp\\HandlerStack;
use GuzzleHttp\\Middleware;
use GuzzleHttp\\Psr7\\Uri;
use Plivo\\Authentication\\BasicAuth;
use Plivo\\HttpClients\\PlivoGuzzleHttpClient;
use Plivo\\RestClient;

$base = new Uri('http://127.0.0.1:8080');
$stack = HandlerStack::create();
$stack->push(Middleware::mapRequest(fn ($request) => $request->withUri(
    $request->getUri()->withScheme($base->getScheme())->withHost($base->getHost())->withPort($base->getPort())
)));
$credentials = new BasicAuth(getenv('PLIVO_AUTH_ID'), getenv('PLIVO_AUTH_TOKEN'));
$handler = new PlivoGuzzleHttpClient(new Client(['handler' => $stack]), $credentials);

$client = new RestClient(getenv('PLIVO_AUTH_ID'), getenv('PLIVO_AUTH_TOKEN'));
$client->client->setHttpClientHandler($handler);
$client->msgClient->setHttpClientHandler($handler);
"""

_RUBY: Final = """\
require "plivo"

%i[PLIVO_API_URL API_VOICE API_VOICE_FALLBACK_1 API_VOICE_FALLBACK_2].each do |name|
  Plivo::Base.send(:remove_const, name)
  Plivo::Base.const_set(name, "http://127.0.0.1:8080")
end

client = Plivo::RestClient.new
"""

_JAVA: Final = """\
var base = okhttp3.HttpUrl.get("http://127.0.0.1:8080");
var sender = new okhttp3.OkHttpClient.Builder().addInterceptor(chain -> {
    var request = chain.request();
    var url = request.url().newBuilder().scheme(base.scheme()).host(base.host()).port(base.port()).build();
    return chain.proceed(request.newBuilder().url(url).build());
});

var client = new com.plivo.api.PlivoClient(
    System.getenv("PLIVO_AUTH_ID"), System.getenv("PLIVO_AUTH_TOKEN"), sender);
"""

_DOTNET: Final = """\
using Plivo;
using Plivo.Authentication;

var authId = Environment.GetEnvironmentVariable("PLIVO_AUTH_ID");
var authToken = Environment.GetEnvironmentVariable("PLIVO_AUTH_TOKEN");
var client = new PlivoApi(authId, authToken);
client.Client = new Plivo.Client.HttpClient(
    new BasicAuth(authId, authToken), baseUri: "http://127.0.0.1:8080/v1");
"""

_CURL: Final = """\
curl --silent --user "$PLIVO_AUTH_ID:$PLIVO_AUTH_TOKEN" "http://127.0.0.1:8080/v1/Account/$PLIVO_AUTH_ID/Message/"
"""

_SNIPPETS: Final = {
    Language.PYTHON: _PYTHON,
    Language.NODE: _NODE,
    Language.GO: _GO,
    Language.PHP: _PHP,
    Language.RUBY: _RUBY,
    Language.JAVA: _JAVA,
    Language.DOTNET: _DOTNET,
    Language.CURL: _CURL,
}
