def test_without_a_terminal_the_option_is_named(process):
    out, err = process("password", "ada").communicate(timeout=60)
    assert (out, err) == ("", "there is no terminal to ask for the password\nGive it with --password-stdin.\n")
