"""A stand-in for the Hugging Face hub: what its library asks of a server to fetch and to put up small files."""

import base64
import contextlib
import hashlib
import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator


class Hub:
    """The repositories, and who may see them.

    Attributes:
      files: by repository and revision, the content of each file.
      gated: repositories whose terms nobody accepted.
    """

    def __init__(self):
        self.files: dict[str, dict[str, dict[str, bytes]]] = {}
        self.gated: set[str] = set()
        self.requests: list[str] = []

    def put(self, repository, folder, *, revision="main", names=None):
        files = {path.name: path.read_bytes() for path in folder.iterdir() if names is None or path.name in names}
        self.files.setdefault(repository, {})[revision] = files

    def find(self, repository, revision):
        """Commit and files, or the code of the hub's error."""
        revisions = self.files.get(repository)
        if repository in self.gated or revisions is None:
            return "GatedRepo" if repository in self.gated else "RepoNotFound", None
        for name, files in revisions.items():
            commit = hashlib.sha1(repr((name, sorted(files.items()))).encode()).hexdigest()
            if revision in (name, commit):
                return commit, files
        return "RevisionNotFound", None


@contextlib.contextmanager
def served(hub: Hub) -> Iterator[str]:
    """The address under which a hub can be had."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            hub.requests.append(f"{self.command} {urllib.parse.unquote(self.path)}")

        def answer(self, content, status=200, **headers):
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_GET(self):  # noqa: N802
            words = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).strip("/").split("/")
            if words[:2] == ["api", "models"]:
                repository, (what, revision) = "/".join(words[2:4]), words[4:6] or ("revision", "main")
            else:
                repository, what, revision = "/".join(words[:2]), words[2], words[3]
            commit, files = hub.find(repository, revision)
            if files is None:
                status = 403 if commit == "GatedRepo" else 404
                return self.answer({"error": commit}, status, X_Error_Code=commit, X_Error_Message=commit)
            if what == "revision":
                return self.answer(
                    {"id": repository, "sha": commit, "siblings": [{"rfilename": name} for name in files]}
                )
            if what == "tree":
                entries = [
                    {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                    for name, data in files.items()
                ]
                return self.answer(entries)
            data = files[words[4]]
            return self.answer(data, ETag=f'"{hashlib.sha1(data).hexdigest()}"', X_Repo_Commit=commit)

        do_HEAD = do_GET  # noqa: N815

        def do_POST(self):  # noqa: N802
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else self.chunks()
            words = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).strip("/").split("/")
            if self.headers.get("Authorization") != "Bearer hf_stand_in":
                return self.answer({"error": "who are you?"}, 401)
            if words[-1] == "validate-yaml":
                return self.answer({"errors": [], "warnings": []})
            if words[-1] == "create":
                asked = json.loads(body)
                name = f"{asked.get('organization') or 'me'}/{asked['name']}"
                hub.files.setdefault(name, {}).setdefault("main", {})
                return self.answer({"url": f"http://{self.headers['Host']}/{name}", "id": name, "name": name})
            repository = "/".join(words[2:4])
            if words[4] == "preupload":
                files = [
                    {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for file in json.loads(body)["files"]
                ]
                return self.answer({"files": files})
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    content = base64.b64decode(entry["value"]["content"])
                    hub.files[repository]["main"][entry["value"]["path"]] = content
            commit = hub.find(repository, "main")[0]
            place = f"http://{self.headers['Host']}/{repository}/commit/{commit}"
            return self.answer({"commitUrl": place, "commitOid": commit})

        def chunks(self):
            """The body of a request that does not say how long it is."""
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
