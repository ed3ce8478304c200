# Made by `make generate` from generator/supervisor/group.py; change that file.
"""One member of a group of pods that serve one model together, whatever controller made the pods.

    group.py [--executor mp|ray] [--data N [--api-servers K]] -- ENGINE ARGUMENTS...

The leader (rank 0) waits for every other member, then all start the engine at once; a member whose arguments differ
is turned away, because engines with different arguments wait for each other for ever. From then on the group lives
and dies together: when a member's engine ends, a member falls silent or its node is lost, every other member ends
its engine and exits, the kubelet starts the containers again and the group forms anew. On SIGTERM the leader's engine
finishes its running answers while the members wait for it.

Waiting has a deadline (GROUP_WAIT_SECONDS) and shows progress. GET /health on port 29401 is what the probes ask: the
engine's own health on the leader, "this member is alive" elsewhere. Workers find the leader by its DNS name; the
engines then get its address, because a name may still lead to the leader's predecessor. The standard library only.

With --data the pods do not share one engine: each runs N / GROUP_SIZE whole engines of a data parallel group, and the
leader's API servers hand requests to all of them.

Environment: GROUP_SIZE, GROUP_RANK, GROUP_LEADER (DNS name), GROUP_GPUS, GROUP_WAIT_SECONDS, GROUP_GRACE_SECONDS,
VLLM_HOST_IP, GROUP_ENGINE_TLS (set where the engine speaks TLS), GROUP_SECRET (known to all members, and taken out of
the engine's environment).

Exit codes: the engine's own where it failed; 0 after a stop; 1 when the group fell apart; 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys

from group_health import HEALTH_PORT, health
from group_leader import Leader
from group_member import Member, Settings
from group_protocol import LINE_BYTES, GroupError, say
from group_worker import Worker


def read_settings(words: list[str]) -> Settings:
    """This member's settings from its command line and environment; ends the program where the former is wrong."""
    parser = argparse.ArgumentParser(
        prog="group.py",
        usage="group.py [--executor mp|ray] [--data N [--api-servers K]] -- ENGINE ARGUMENTS...",
        allow_abbrev=False,
    )
    parser.add_argument("--executor", choices=("mp", "ray"), default="mp")
    parser.add_argument("--data", type=int, default=0, metavar="N")
    parser.add_argument("--api-servers", type=int, default=1, metavar="K")
    # What follows the first -- is the engine's alone, whatever it looks like.
    split = words.index("--") if "--" in words else len(words)
    options, command = parser.parse_args(words[:split]), words[split + 1 :]
    if not command:
        parser.error("the engine's command must follow --")
    rank = int(os.environ["GROUP_RANK"])
    return Settings(
        rank=rank,
        size=int(os.environ["GROUP_SIZE"]),
        leader=os.environ["GROUP_LEADER"],
        command=command,
        name=os.environ.get("HOSTNAME", f"rank-{rank}"),
        executor=options.executor,
        data=options.data,
        api_servers=options.api_servers,
        gpus=os.environ.get("GROUP_GPUS", "0"),
        host=os.environ.get("VLLM_HOST_IP", ""),
        engine_tls=bool(os.environ.get("GROUP_ENGINE_TLS")),
        secret=os.environ.pop("GROUP_SECRET", ""),
        wait_seconds=float(os.environ.get("GROUP_WAIT_SECONDS", "900")),
        grace_seconds=float(os.environ.get("GROUP_GRACE_SECONDS", "60")),
    )


async def main(settings: Settings) -> int:
    """Run this member; the exit code."""
    member: Member = Leader(settings) if settings.rank == 0 else Worker(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, member.stop.set)
    probes = await asyncio.start_server(lambda r, w: health(r, w, settings), None, HEALTH_PORT, limit=LINE_BYTES)
    say(f"rank {settings.rank} of {settings.size}, executor {settings.executor}, leader {settings.leader}")
    if settings.size > 1 and not settings.secret:
        say("GROUP_SECRET is empty: whoever reaches port 29400 of the leader is taken for a member")
    try:
        async with probes:
            return await member.run()
    except GroupError as error:
        say(str(error))
        return 1
    finally:
        member.kill()


if __name__ == "__main__":
    code = asyncio.run(main(read_settings(sys.argv[1:])))
    sys.stdout.flush()
    os._exit(code)  # threads or children of the engine must not keep the container alive
