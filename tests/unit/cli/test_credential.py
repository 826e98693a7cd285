def test_the_host_whose_credential_goes_is_sent(command, server):
    server.data("DELETE /api/v1/namespace/team/credential/", None)
    assert command("credential", "delete", "packages.example.org", "--namespace", "team").status == 0
    assert server.requests[-1].query == {"host": ["packages.example.org"]}
