"""The peer: the same server and framework with a handler that only parses the same body."""

import socket
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request

from ingest_service.settings import settle_process


def main(port_file: Path) -> None:
    """Serve on a free port, which is written to a file."""
    app = FastAPI()

    @app.post("/v1/events")
    async def events(request: Request) -> dict[str, int]:
        return {"received": len(await request.json())}

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http="h11", log_config=None, access_log=False)
    port_file.write_text(f"{listening.getsockname()[1]}\n")
    settle_process()
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
