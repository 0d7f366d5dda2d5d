"""ZIPs and folders made to harm: nothing is written, followed, or read past its limit."""

import os
import stat
import struct
import zipfile

import pytest
from interchange import fixtures as fx
from interchange.fixtures import save, to_json

from haulout.errors import HauloutError, ImportFormatError, LimitError
from haulout.interchange import Limits, import_file
from haulout.interchange.archive import head, open_source, read, unsafe_name

CONVERSATIONS = to_json(fx.chatgpt_conversations())


def zip_with(path, *entries: tuple[zipfile.ZipInfo | str, bytes]):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", CONVERSATIONS)
        for name, content in entries:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "../conversations-001.json", "a/../../x.json", "/etc/conversations.json", "..",
        "C:/conversations.json", "c:x.json", "a\\..\\b.json", "\\\\host\\x.json",
    ],
)  # fmt: skip
def test_a_member_whose_name_is_a_path_elsewhere_is_left_out_and_told(tmp_path, shelf, name):
    path = zip_with(tmp_path / "x", (name, CONVERSATIONS))
    report = import_file(path, shelf)
    assert report.taken == 10
    assert [problem.what[:9] for problem in report.problems] == ["left out:"]
    assert sorted(os.listdir(tmp_path)) == ["x"]  # noqa: PTH208


@pytest.mark.parametrize("name", ["a/b.json", "a..b/c", "...", "note: x.md", "ü/名.md"])
def test_ordinary_names_are_fine(name):
    assert not unsafe_name(name)


def test_a_name_with_control_characters_is_shown_without_them(tmp_path, shelf):
    path = zip_with(tmp_path / "x", ("../\x1b[2Jevil\u202e\n.json", b""))
    (problem,) = import_file(path, shelf).problems
    assert problem.file == "../ [2Jevil .json"


def test_a_symbolic_link_in_a_zip_is_left_out(tmp_path, shelf):
    link = zipfile.ZipInfo("conversations-001.json")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    report = import_file(zip_with(tmp_path / "x", (link, b"/etc/passwd")), shelf)
    assert report.problems[0].what == "left out: a symbolic link"


def test_a_symbolic_link_in_a_folder_is_not_followed(tmp_path, shelf):
    save(tmp_path, "secret/plan.md", "# Secret")
    save(tmp_path, "notes/a.md", "# A\nb")
    (tmp_path / "notes" / "link.md").symlink_to(tmp_path / "secret" / "plan.md")
    (tmp_path / "notes" / "folder").symlink_to(tmp_path / "secret")
    report = import_file(tmp_path / "notes", shelf)
    assert shelf.texts() == ["A\nb"]
    assert {problem.file for problem in report.problems} == {"link.md", "folder"}


def test_a_link_put_in_place_after_listing_is_not_followed(tmp_path):
    save(tmp_path, "notes/a.md", "# A")
    save(tmp_path, "other", "# Other")
    with open_source(tmp_path / "notes") as source:
        (tmp_path / "notes" / "a.md").unlink()
        (tmp_path / "notes" / "a.md").symlink_to(tmp_path / "other")
        with pytest.raises(ImportFormatError):
            head(source, source.members[0], 10)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_second_member_of_the_same_name_is_left_out(tmp_path, shelf):
    path = zip_with(tmp_path / "x", ("conversations.json", b"[]"))
    report = import_file(path, shelf)
    assert report.taken == 10
    assert report.problems[0].what == "left out: a second file of the same name"


def patched(content: bytes, signature: bytes, at: int, value: bytes) -> bytes:
    """Bytes at an offset from each local or central header of a ZIP."""
    held = bytearray(content)
    start = held.find(signature)
    while start >= 0:
        held[start + at : start + at + len(value)] = value
        start = held.find(signature, start + 4)
    return bytes(held)


def test_encrypted_members_are_left_out_and_the_reason_is_told(tmp_path, shelf):
    content = patched(fx.chatgpt_zip(), b"PK\x01\x02", 8, b"\x01\x00")
    with pytest.raises(ImportFormatError, match="left out: encrypted"):
        import_file(save(tmp_path, "x", content), shelf)


def test_methods_that_ask_for_memory_by_their_header_are_not_read(tmp_path, shelf):
    with zipfile.ZipFile(tmp_path / "x", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("conversations.json", CONVERSATIONS)
    with pytest.raises(ImportFormatError, match="compression method 14"):
        import_file(tmp_path / "x", shelf)


def test_a_bomb_stops_at_its_ratio(tmp_path, shelf):
    body = b'[{"title": "x", "mapping": {}, "x": "' + b"0" * (64 << 20)
    path = zip_with(tmp_path / "x", ("conversations-001.json", body))
    report = import_file(path, shelf)
    assert report.taken == 10
    (problem,) = report.problems
    assert (problem.file, "200 times" in problem.what) == ("conversations-001.json", True)


def test_one_member_and_all_together_are_bounded(tmp_path, shelf):
    path = zip_with(tmp_path / "x", ("a.md", b"# A\n" + os.urandom(3000).hex().encode()))
    with open_source(path, Limits(member_bytes_max=1000)) as source:
        (member,) = [member for member in source.members if member.name == "a.md"]
        with pytest.raises(LimitError, match="1000 bytes in one file"):
            read(source, member, 10_000)
    report = import_file(path, shelf, limits=Limits(total_bytes_max=len(CONVERSATIONS) + 5000))
    assert "in all" in report.problems[-1].what
    assert report.balanced()


def test_the_number_of_members_is_bounded(tmp_path, shelf):
    for number in range(12):
        save(tmp_path / "notes", f"{number}.md", "# A")
    with pytest.raises(LimitError, match="more than 10 files"):
        import_file(tmp_path / "notes", shelf, limits=Limits(members_max=10))
    content = fx.to_zip({f"{number}.md": b"# A" for number in range(12)})
    with pytest.raises(LimitError, match="more than 10 files"):
        import_file(save(tmp_path, "x", content), shelf, limits=Limits(members_max=10))


def test_a_huge_list_of_names_is_refused_before_it_is_read(tmp_path, shelf):
    content = fx.to_zip({f"{'n' * 200}{number}.md": b"" for number in range(50)})
    with pytest.raises(ImportFormatError, match="list of files"):
        import_file(save(tmp_path, "x", content), shelf, limits=Limits(directory_bytes_max=4096))


def test_folders_nested_too_deep_are_told(tmp_path, shelf):
    save(tmp_path / "notes", "a.md", "# A\nx")
    save(tmp_path / "notes", "1/2/3/b.md", "# B\nx")
    report = import_file(tmp_path / "notes", shelf, limits=Limits(folder_depth_max=2))
    assert shelf.texts() == ["A\nx"]
    assert report.problems[0].file == "1/2/3"


def test_a_zip_inside_a_zip_is_opened_only_where_the_form_says_so(tmp_path, shelf):
    inner = fx.to_zip({"conversations-001.json": fx.chatgpt_conversations()})
    path = save(tmp_path, "x", fx.to_zip({"more.zip": inner, "n.md": b"# A\nb"}))
    assert import_file(path, shelf).taken == 1


def test_zips_inside_zips_go_one_level_and_no_deeper(tmp_path, shelf):
    innermost = fx.to_zip({"conversations.json": [fx.claude_conversation()]})
    content = fx.to_zip({"a.zip": fx.to_zip({"b.zip": innermost})})
    with pytest.raises(ImportFormatError):
        import_file(save(tmp_path, "x", content), shelf)


def test_a_nested_zip_is_bounded_in_memory(tmp_path, shelf):
    archives = fx.claude_archives() | {"big-000.zip": b"PK\x03\x04" + os.urandom(5000)}
    path = save(tmp_path, "x", fx.to_zip(archives))
    report = import_file(path, shelf, limits=Limits(nested_bytes_max=4000))
    assert report.taken == 13
    assert report.problems[0].position == "big-000.zip"


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_zip_is_refused_in_our_own_words(tmp_path, shelf, keep):
    content = fx.chatgpt_zip()
    with pytest.raises(ImportFormatError, match="broken ZIP"):
        import_file(save(tmp_path, "x", content[: int(len(content) * keep)]), shelf)


def test_a_flipped_bit_in_a_member_is_a_problem_and_the_rest_is_read(tmp_path, shelf):
    first, second = fx.chatgpt_conversations()[:2]
    content = bytearray(
        fx.to_zip({"conversations-000.json": [first], "conversations-001.json": [second]})
    )
    content[content.find(b"conversations-001.json") + 200] ^= 0xFF
    report = import_file(save(tmp_path, "x", bytes(content)), shelf)
    assert {problem.file for problem in report.problems} == {"conversations-001.json"}
    assert "I only drink white tea." in shelf.texts()


def test_a_size_that_lies_is_a_problem_not_a_crash(tmp_path, shelf):
    content = patched(fx.chatgpt_zip(), b"PK\x01\x02", 24, struct.pack("<I", 10))
    with pytest.raises(HauloutError):
        import_file(save(tmp_path, "x", content), shelf)


@pytest.mark.parametrize("name", ["missing", "fifo", "\x00"])
def test_what_is_no_file_is_refused(tmp_path, shelf, name):
    if name == "fifo":
        os.mkfifo(tmp_path / name)
    with pytest.raises(ImportFormatError):
        import_file(str(tmp_path / name), shelf)
