// The planner's Python, in a worker so that the page stays responsive. Receives the payload once, then questions:
// {id, question}; answers {id, answer} or {id, bug}. Nothing here can reach a network: fetch knows two names.
const BASE = "https://pyodide.invalid/";
let ask = null;

async function unpacked(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function imported(data) {
  const url = URL.createObjectURL(new Blob([data], { type: "text/javascript" }));
  try {
    return await import(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

async function start(payload) {
  const data = {};
  for (const [name, text] of Object.entries(payload.files)) data[name] = await unpacked(text);
  const served = {
    [BASE + "pyodide.asm.wasm"]: ["pyodide.asm.wasm", "application/wasm"],
    [BASE + "python_stdlib.zip"]: ["python_stdlib.zip", "application/zip"],
  };
  self.fetch = async (url) => {
    const found = served[String(url)];
    if (!found) throw new Error("the planner loads nothing: " + url);
    return new Response(data[found[0]], { headers: { "Content-Type": found[1] } });
  };
  const { loadPyodide } = await imported(data["pyodide.mjs"]);
  const { default: createPyodideModule } = await imported(data["pyodide.asm.mjs"]);
  const python = await loadPyodide({
    indexURL: BASE,
    packageBaseUrl: BASE,
    lockFileContents: payload.lock,
    createPyodideModule,
  });
  python.unpackArchive(data["archive.zip"], "zip", { extractDir: "/planner" });
  python.runPython("import sys\nsys.path.insert(0, '/planner')\nfrom website.bridge import answer_json");
  ask = python.globals.get("answer_json");
}

self.onmessage = async ({ data }) => {
  try {
    if (data.payload) {
      const began = performance.now();
      await start(data.payload);
      self.postMessage({ ready: true, milliseconds: Math.round(performance.now() - began) });
    } else {
      self.postMessage({ id: data.id, answer: JSON.parse(ask(JSON.stringify(data.question))) });
    }
  } catch (error) {
    self.postMessage({ id: data.id, bug: String(error.message || error) });
  }
};
