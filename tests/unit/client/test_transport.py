from collections.abc import Callable

import httpx
import pytest

from conda_store.client.login import Password, Token
from conda_store.client.transport import Patience
from conda_store.errors import ServerError

OK = {"status": "ok", "data": {"version": "1"}}


def refused(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("[Errno 111] Connection refused", request=request)


def test_the_prefix_is_kept_and_the_client_names_itself(converse: Callable) -> None:
    talk = converse(lambda request: httpx.Response(200, json=OK))
    assert talk.session.version() == "1"
    assert str(talk.requests[0].url) == "http://server.test/prefix/api/v1/"
    assert talk.requests[0].headers["user-agent"].startswith("conda-store/")


@pytest.mark.parametrize("status", [502, 503, 504])
def test_reading_is_tried_again_while_the_server_is_unready(converse: Callable, status: int) -> None:
    answers = iter([httpx.Response(status), httpx.Response(status), httpx.Response(200, json=OK)])
    talk = converse(lambda request: next(answers))
    assert talk.session.version() == "1"
    assert len(talk.pauses) == 2
    assert talk.pauses[0] < talk.pauses[1]


def test_the_server_may_say_when_to_come_back(converse: Callable) -> None:
    answers = iter([httpx.Response(503, headers={"retry-after": "7"}), httpx.Response(200, json=OK)])
    talk = converse(lambda request: next(answers))
    talk.session.version()
    assert talk.pauses == [7.0]
    assert Patience().delay(1, "86400") == Patience().longest_delay


def test_it_gives_up_after_four_attempts(converse: Callable) -> None:
    talk = converse(lambda request: httpx.Response(503))
    with pytest.raises(ServerError, match="not ready") as raised:
        talk.session.version()
    assert raised.value.status == 503
    assert len(talk.requests) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500])
def test_a_refusal_is_final(converse: Callable, status: int) -> None:
    talk = converse(lambda request: httpx.Response(status, json={"status": "error", "message": "no", "hint": "why"}))
    with pytest.raises(ServerError) as raised:
        talk.session.version()
    assert (raised.value.message, raised.value.hint, raised.value.status) == ("no", "why", status)
    assert len(talk.requests) == 1


def test_a_change_that_may_have_happened_is_not_sent_twice(converse: Callable) -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset", request=request)

    talk = converse(broken)
    with pytest.raises(ServerError, match="broke"):
        talk.session.rebuild(1)
    assert len(talk.requests) == 1
    talk = converse(lambda request: httpx.Response(503))
    with pytest.raises(ServerError):
        talk.session.create_environment("name: x")
    assert len(talk.requests) == 1


def test_a_change_that_cannot_have_happened_is_tried_again(converse: Callable) -> None:
    attempts: list[int] = []

    def late(request: httpx.Request) -> httpx.Response:
        attempts.append(1)
        return refused(request) if len(attempts) < 3 else httpx.Response(200, json={"data": {"build_id": 5}})

    assert converse(late).session.rebuild(1) == 5


def test_cancelling_may_be_repeated(converse: Callable) -> None:
    answers = iter([httpx.Response(502), httpx.Response(200, json={"status": "ok", "message": "build 1 canceled"})])
    assert converse(lambda request: next(answers)).session.cancel(1) == "build 1 canceled"


def test_nobody_there_says_what_to_check(converse: Callable) -> None:
    talk = converse(refused, url="http://user:secret@server.test/prefix")
    with pytest.raises(ServerError) as raised:
        talk.session.version()
    assert raised.value.message.startswith("no conda-store can be reached at http://server.test/prefix")
    assert "conda-store serve" in raised.value.hint
    assert "--conda-store-url" in raised.value.hint
    assert "secret" not in str(raised.value)
    assert raised.value.status == 0


def test_an_unknown_host_is_not_tried_again(converse: Callable) -> None:
    def unknown(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[Errno -2] Name or service not known", request=request)

    talk = converse(unknown)
    with pytest.raises(ServerError, match="Name or service not known"):
        talk.session.version()
    assert len(talk.requests) == 1


def test_an_untrusted_certificate_has_its_own_words(converse: Callable) -> None:
    def untrusted(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate", request=request)

    with pytest.raises(ServerError, match="certificate of") as raised:
        converse(untrusted).session.version()
    assert "--no-verify-ssl" in raised.value.hint


def test_no_answer_in_time(converse: Callable) -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("", request=request)

    with pytest.raises(ServerError, match="did not answer in time"):
        converse(slow).session.version()


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (httpx.Response(200, text="<html>"), "no conda-store"),
        (httpx.Response(404, text="<html>"), "no conda-store"),
        (httpx.Response(404, json={"detail": "Not Found"}), "there is no GET http://server.test/prefix/api/v1/"),
        (httpx.Response(500, text="Internal Server Error"), "the server failed"),
        (httpx.Response(200, json={"data": {}}), "cannot be read"),
        (httpx.Response(200, json=[]), "cannot be read"),
        (
            httpx.Response(422, json={"detail": [{"loc": ["path", "build_id"], "msg": "Input should be an integer"}]}),
            r"Input should be an integer \(path -> build_id\)",
        ),
    ],
)
def test_what_is_no_answer_of_conda_store_is_said(converse: Callable, response: httpx.Response, text: str) -> None:
    with pytest.raises(ServerError, match=text):
        converse(lambda request: response).session.version()


def test_denial_of_an_anonymous_caller_says_how_to_log_in(converse: Callable) -> None:
    def deny(request: httpx.Request) -> httpx.Response:
        return httpx.Response(403, json={"status": "error", "message": "request not authorized"})

    with pytest.raises(ServerError) as raised:
        converse(deny).session.version()
    assert "CONDA_STORE_TOKEN" in raised.value.hint
    with pytest.raises(ServerError) as raised:
        converse(deny, login=Token("t")).session.version()
    assert "conda-store whoami" in raised.value.hint


def test_a_token_is_sent_to_the_server_but_not_along_a_redirect_to_another(converse: Callable) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.host == "server.test" and request.url.path.endswith("/logs/"):
            return httpx.Response(307, headers={"location": "https://bucket.test/logs/1.log?signature=x"})
        return httpx.Response(200, text="line\n")

    talk = converse(handler, login=Token("t"))
    assert b"".join(talk.session.logs(1)) == b"line\n"
    first, second = talk.requests
    assert first.headers["authorization"] == "Bearer t"
    assert "authorization" not in second.headers
    assert second.url.host == "bucket.test"


def test_a_token_follows_a_redirect_on_the_same_server(converse: Callable) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/logs/"):
            return httpx.Response(307, headers={"location": "/prefix/storage/logs/1.log"})
        return httpx.Response(200, text="line\n")

    talk = converse(handler, login=Token("t"))
    assert b"".join(talk.session.logs(1)) == b"line\n"
    assert talk.requests[1].headers["authorization"] == "Bearer t"


def test_a_change_keeps_its_body_along_307(converse: Callable) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/prefix/api/v1/specification/":
            return httpx.Response(307, headers={"location": "/elsewhere/"})
        return httpx.Response(200, json={"data": {"build_id": len(request.content)}})

    talk = converse(handler)
    assert talk.session.create_environment("name: x") == len(talk.requests[0].content)


def test_a_change_is_never_turned_into_a_read(converse: Callable) -> None:
    talk = converse(lambda request: httpx.Response(301, headers={"location": "https://server.test/prefix/x"}))
    with pytest.raises(ServerError, match="moved") as raised:
        talk.session.create_environment("name: x")
    assert "--conda-store-url" in raised.value.hint
    assert len(talk.requests) == 1


def test_redirects_end(converse: Callable) -> None:
    talk = converse(lambda request: httpx.Response(307, headers={"location": str(request.url)}))
    with pytest.raises(ServerError, match="without end"):
        talk.session.version()


def test_a_password_is_handed_in_once_and_the_cookie_kept(converse: Callable) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/prefix/login/":
            return httpx.Response(200, json={"status": "ok"}, headers={"set-cookie": "conda-store-auth=c; Path=/"})
        return httpx.Response(200, json=OK)

    talk = converse(handler, url="http://127.0.0.1:1/prefix", login=Password("me", "pw"))
    talk.session.version()
    talk.session.version()
    assert [request.url.path for request in talk.requests] == ["/prefix/login/", "/prefix/api/v1/", "/prefix/api/v1/"]
    assert talk.requests[0].content == b'{"username":"me","password":"pw"}'
    assert talk.requests[2].headers["cookie"] == "conda-store-auth=c"


def test_a_wrong_password_is_named_but_not_shown(converse: Callable) -> None:
    talk = converse(lambda request: httpx.Response(403, json={"message": "x"}), login=Password("me", "secret-pw"))
    with pytest.raises(ServerError, match="password of me") as raised:
        talk.session.version()
    assert "secret-pw" not in str(raised.value)
