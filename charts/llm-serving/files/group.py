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
VLLM_HOST_IP, GROUP_ENGINE_TLS (set where the engine speaks TLS).
"""

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import ssl
import sys
import time

GROUP_PORT = 29400
HEALTH_PORT = 29401
MASTER_PORT = 29501
DATA_PORT = 29550  # vLLM's default of --data-parallel-rpc-port (vllm/config/parallel.py of 0.33.0, read 2026-11-25)
RAY_PORT = 6379
ENGINE_PORT = 8000
BEAT_SECONDS = 5
SILENCE_SECONDS = 30
PROGRESS_SECONDS = 10
RETRY_SECONDS = 2
LINE_BYTES = 65536


class GroupError(Exception):
    """The group cannot form, or has fallen apart; the text is for people."""


def say(text):
    """One line in the container's log."""
    print(f"group: {text}", flush=True)


class Member:
    """What leader and workers have in common: settings, the engine's process, the stop signal."""

    def __init__(self, executor, command, data=0, api_servers=1):
        self.executor, self.command, self.data, self.api_servers = executor, command, data, api_servers
        self.size, self.rank = int(os.environ["GROUP_SIZE"]), int(os.environ["GROUP_RANK"])
        self.leader = os.environ["GROUP_LEADER"]
        self.address = os.environ.get("VLLM_HOST_IP", "127.0.0.1") if self.rank == 0 else None
        self.name = os.environ.get("HOSTNAME", f"rank-{self.rank}")
        self.seconds = float(os.environ.get("GROUP_WAIT_SECONDS", "900"))
        self.grace = float(os.environ.get("GROUP_GRACE_SECONDS", "60"))
        self.deadline = time.monotonic() + self.seconds
        agreed = [executor, self.size, command, *([data] if data else [])]
        self.digest = hashlib.sha256(json.dumps(agreed).encode()).hexdigest()[:12]
        self.stop = asyncio.Event()
        self.process = None

    def left(self):
        """Seconds until the deadline; raises GroupError when it is over."""
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise GroupError(f"gave up after {self.seconds:.0f} s: {self.waiting_for()}")
        return remaining

    async def start(self, words):
        """Start a process in a session of its own."""
        say("starting: " + " ".join(words))
        self.process = await asyncio.create_subprocess_exec(*words, start_new_session=True)
        return self.process

    def kill(self):
        """End the engine at once: its peers are gone, nothing that it holds can be finished."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def engine_command(self):
        """The engine's command line on this member."""
        if self.executor == "ray":
            return self.command
        if self.data:
            return [*self.command, *self.data_words()]
        words = [*self.command, "--nnodes", str(self.size), "--node-rank", str(self.rank)]
        words += ["--master-addr", self.address, "--master-port", str(MASTER_PORT)]
        return words if self.rank == 0 else [*words, "--headless"]

    def data_words(self):
        """Flags of this member's own data parallel engines; only the leader has an API."""
        local = self.data // self.size
        words = ["--data-parallel-size-local", str(local), "--data-parallel-address", self.address]
        words += ["--data-parallel-rpc-port", str(DATA_PORT)]
        if self.rank == 0:
            return [*words, "--api-server-count", str(self.api_servers)]
        return [*words, "--data-parallel-start-rank", str(self.rank * local), "--headless"]

    def ray_command(self):
        """`ray start` on this member."""
        words = ["ray", "start", "--block", "--disable-usage-stats", f"--num-gpus={os.environ.get('GROUP_GPUS', '0')}"]
        if os.environ.get("VLLM_HOST_IP"):
            words.append(f"--node-ip-address={os.environ['VLLM_HOST_IP']}")
        if self.rank == 0:
            return [*words, "--head", f"--port={RAY_PORT}", "--include-dashboard=false"]
        return [*words, f"--address={self.address}:{RAY_PORT}"]


class Leader(Member):
    """Rank 0: gathers the members, runs the engine that serves, watches over all."""

    def __init__(self, *settings):
        super().__init__(*settings)
        self.members, self.refused, self.started = {}, {}, False
        self.changed, self.trouble = asyncio.Event(), None

    def waiting_for(self):
        """Who is there, and who is not."""
        text = f"{len(self.members)} of {self.size - 1} worker(s) joined"
        if self.members:
            text += f" ({', '.join(sorted(self.members))})"
        if self.refused:
            text += "; turned away: " + ", ".join(f"{name} ({why})" for name, why in sorted(self.refused.items()))
        return text

    def fail(self, text):
        """Remember the first reason why the group ends."""
        self.trouble = self.trouble or text
        self.changed.set()

    async def serve_member(self, reader, writer):
        """One worker's connection, from its greeting until one side goes."""
        name = None
        try:
            hello = await receive(reader)
            name = str(hello.get("member"))
            problem = self.problem(hello)
            if problem:
                self.refused[name] = problem
                await send(writer, {"refused": problem})
                return
            self.members[name] = writer
            self.refused.pop(name, None)
            say(f"{name} joined; {self.waiting_for()}")
            self.changed.set()
            while True:
                message = await receive(reader)
                if "leaving" in message:
                    say(f"{name} is told to stop; the whole group stops")
                    self.stop.set()
                if "failed" in message:
                    self.fail(f"{name}: {message['failed']}")
                await send(writer, {"beat": 1})
        except (OSError, ValueError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
            if name and self.members.get(name) is writer:
                del self.members[name]
                if self.started and not self.stop.is_set():
                    self.fail(f"lost {name} ({type(error).__name__})")
                elif not self.started:
                    say(f"{name} went away; {self.waiting_for()}")
        finally:
            writer.close()

    def problem(self, hello):
        """Why a greeting cannot be accepted."""
        if self.started:
            return "the group is running; it ends now and forms anew"
        if hello.get("digest") != self.digest:
            return f"its arguments differ from the leader's (digest {hello.get('digest')}, not {self.digest})"
        return None

    async def run(self):
        """The leader's life; the exit code."""
        server = await asyncio.start_server(self.serve_member, None, GROUP_PORT)
        ray = None
        if self.executor == "ray":
            ray = asyncio.ensure_future((await self.start(self.ray_command())).wait())
            ray.add_done_callback(lambda _: self.fail("Ray ended on the leader"))  # also before the engine starts
        async with server:
            try:
                return await self.lead(ray)
            finally:
                for writer in self.members.values():
                    writer.close()

    async def lead(self, ray):
        """Gather the members, start every engine, watch over all; the exit code."""
        await self.gather()
        if self.stop.is_set():
            return 0
        self.started = True
        for writer in list(self.members.values()):
            with contextlib.suppress(OSError):  # its own connection tells that it is lost
                await send(writer, {"start": self.address})
        if ray is not None:
            await self.wait_for_ray()
        engine = await self.start(self.engine_command())
        return await self.watch(engine)

    async def gather(self):
        """Wait for every worker."""
        told = 0.0
        while len(self.members) < self.size - 1 and not self.stop.is_set():
            remaining = self.left()
            if self.trouble:
                raise GroupError(f"{self.trouble}; the group ends and forms anew")
            if time.monotonic() - told >= PROGRESS_SECONDS:
                say(f"waiting, {self.waiting_for()}; {remaining:.0f} s left")
                told = time.monotonic()
            self.changed.clear()
            await first(self.changed.wait(), self.stop.wait(), timeout=min(remaining, PROGRESS_SECONDS))

    async def wait_for_ray(self):
        """Until Ray counts every node."""
        told = 0.0
        while True:
            check = await asyncio.create_subprocess_exec(
                sys.executable, __file__, "ray-nodes", stdout=asyncio.subprocess.PIPE
            )
            asked = asyncio.ensure_future(check.communicate())
            while not (asked.done() or self.trouble or self.stop.is_set()):  # Ray's client may be deaf for minutes
                self.changed.clear()
                await first(asked, self.changed.wait(), self.stop.wait(), timeout=self.left())
            if not asked.done():
                check.kill()
                await asked
                raise GroupError(f"{self.trouble}; the group ends and forms anew" if self.trouble else "stopped")
            printed, _ = asked.result()
            alive = printed.decode().strip().splitlines()[-1:] or ["0"]
            if alive == [str(self.size)]:
                say(f"Ray has {self.size} nodes")
                return
            if time.monotonic() - told >= PROGRESS_SECONDS:
                say(f"waiting, Ray has {alive[0]} of {self.size} nodes; {self.left():.0f} s left")
                told = time.monotonic()
            self.left()
            await asyncio.sleep(RETRY_SECONDS)

    async def watch(self, engine):
        """Until the engine ends, a member is lost, or the pod is told to stop."""
        ended = asyncio.ensure_future(engine.wait())
        while not ended.done():
            self.changed.clear()
            if self.trouble is None:
                await first(ended, self.changed.wait(), self.stop.wait())
            if self.trouble:
                self.kill()
                raise GroupError(f"{self.trouble}; the group ends and forms anew")
            if self.stop.is_set() and not ended.done():
                say("stopping: running answers may end")
                engine.terminate()
                await ended
        code = engine.returncode
        say(f"the engine ended with code {code}")
        return 0 if self.stop.is_set() else code if code > 0 else 1


class Worker(Member):
    """Every other rank: finds the leader, runs its part of the engine, ends with the leader."""

    def __init__(self, *settings):
        super().__init__(*settings)
        self.last = "no answer yet"

    def waiting_for(self):
        """What the leader last said."""
        return f"leader {self.leader}: {self.last}"

    async def run(self):
        """The worker's life; the exit code."""
        connection = await self.join()
        if connection is None:
            return 0
        reader, writer = connection
        try:
            return await self.serve(reader, writer)
        finally:
            writer.close()

    async def serve(self, reader, writer):
        """From the start until the engine, the leader or the pod ends; the exit code."""
        engine = await self.start(self.ray_command() if self.executor == "ray" else self.engine_command())
        beats = asyncio.ensure_future(self.beat(writer))
        listening = asyncio.ensure_future(self.listen(reader))
        ended = asyncio.ensure_future(engine.wait())
        await first(ended, listening, self.stop.wait())
        if self.stop.is_set() and not ended.done() and not listening.done():
            say("told to stop: waiting for the leader to finish")
            await send(writer, {"leaving": 1})
            await first(listening, ended, timeout=self.grace)
        beats.cancel()
        listening.cancel()
        if ended.done():
            say(f"the engine ended with code {engine.returncode}")
            if not self.stop.is_set():
                with contextlib.suppress(OSError):
                    await send(writer, {"failed": f"its engine ended with code {engine.returncode}"})
                return engine.returncode if engine.returncode > 0 else 1
        self.kill()
        if self.stop.is_set():
            return 0
        raise GroupError("lost the leader; the group ends and forms anew")

    async def join(self):
        """Connect and wait for the start; (reader, writer), or None when told to stop."""
        told = 0.0
        while not self.stop.is_set():
            self.left()
            if time.monotonic() - told >= PROGRESS_SECONDS:
                say(f"waiting for the start, {self.waiting_for()}; {self.left():.0f} s left")
                told = time.monotonic()
            try:
                reader, writer = await asyncio.wait_for(
                    asyncio.open_connection(self.leader, GROUP_PORT, limit=LINE_BYTES), SILENCE_SECONDS
                )
            except (OSError, asyncio.TimeoutError) as error:
                self.last = str(error) or type(error).__name__
                await first(self.stop.wait(), timeout=RETRY_SECONDS)
                continue
            if await self.wait_for_start(reader, writer):
                return reader, writer
            writer.close()
            await first(self.stop.wait(), timeout=RETRY_SECONDS)
        return None

    async def wait_for_start(self, reader, writer):
        """Greet, then beat until the leader says start; False when turned away or cut off."""
        beats = None
        try:
            await send(writer, {"member": self.name, "rank": self.rank, "digest": self.digest})
            beats = asyncio.ensure_future(self.beat(writer))
            while not self.stop.is_set():
                self.left()
                message = await receive(reader)
                if "refused" in message:
                    self.last = message["refused"]
                    return False
                if "start" in message:
                    self.address = message["start"]
                    return True
                self.last = "joined, other members are missing"
        except (OSError, ValueError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
            self.last = f"connection lost ({type(error).__name__})"
        finally:
            if beats is not None:
                beats.cancel()
        return False

    async def beat(self, writer):
        """Signs of life, each of which the leader answers."""
        with contextlib.suppress(OSError):
            while True:
                await send(writer, {"beat": 1})
                await asyncio.sleep(BEAT_SECONDS)

    async def listen(self, reader):
        """Returns when the leader is gone or silent."""
        with contextlib.suppress(OSError, ValueError, asyncio.TimeoutError, asyncio.IncompleteReadError):
            while True:
                await receive(reader)


async def send(writer, message):
    """One message, a line of JSON."""
    writer.write(json.dumps(message).encode() + b"\n")
    await writer.drain()


async def receive(reader):
    """The next message; IncompleteReadError when the other side is gone, TimeoutError when it is silent."""
    line = await asyncio.wait_for(reader.readuntil(b"\n"), SILENCE_SECONDS)
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("a message is a JSON object")
    return message


async def first(*awaitables, timeout=None):
    """Wait for the first of them; the ones made here for that purpose are cancelled."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    for task, given in zip(tasks, awaitables):
        if task is not given:
            task.cancel()


async def health(reader, writer, member):
    """GET anything: the engine's health on the leader; 200 on a worker, which has no API."""
    status = b"200 OK"
    with contextlib.suppress(OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), BEAT_SECONDS)
        if member.rank == 0 and not await engine_is_healthy():
            status = b"503 Service Unavailable"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
    writer.close()


def engine_tls():
    """How to speak to an engine that speaks TLS; as the kubelet does, its certificate is not judged. None without."""
    if not os.environ.get("GROUP_ENGINE_TLS"):
        return None
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def engine_is_healthy():
    """Whether the engine of this pod answers /health with 200."""
    writer = None
    try:
        opening = asyncio.open_connection("127.0.0.1", ENGINE_PORT, ssl=engine_tls())
        reader, writer = await asyncio.wait_for(opening, 2)
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        line = await asyncio.wait_for(reader.readline(), BEAT_SECONDS - 1)
        return line.split()[1:2] == [b"200"]
    except (OSError, asyncio.TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.close()


async def main(executor, command, data, api_servers):
    """Run this member; the exit code."""
    kind = Leader if os.environ["GROUP_RANK"] == "0" else Worker
    member = kind(executor, command, data, api_servers)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, member.stop.set)
    probes = await asyncio.start_server(lambda r, w: health(r, w, member), None, HEALTH_PORT)
    say(f"rank {member.rank} of {member.size}, executor {executor}, leader {member.leader}")
    try:
        async with probes:
            return await member.run()
    except GroupError as error:
        say(str(error))
        return 1
    finally:
        member.kill()


def ray_nodes():
    """Print how many nodes Ray counts as alive."""
    import ray

    ray.init(address="auto", logging_level="ERROR", log_to_driver=False)
    print(sum(node["Alive"] for node in ray.nodes()))


if __name__ == "__main__":
    if sys.argv[1:] == ["ray-nodes"]:
        ray_nodes()
        sys.exit(0)
    split = sys.argv.index("--")
    options = dict(zip(sys.argv[1:split:2], sys.argv[2:split:2]))
    numbers = int(options.get("--data", 0)), int(options.get("--api-servers", 1))
    code = asyncio.run(main(options.get("--executor", "mp"), sys.argv[split + 1 :], *numbers))
    sys.stdout.flush()
    os._exit(code)  # threads or children of the engine must not keep the container alive
