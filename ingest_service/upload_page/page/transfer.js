// Files on their way: the start of one for its inspection, all of it with progress, and its job.

const START = 8 * 1024 * 1024;
const POLL_MS = 700, TRIES = 8;
const ROUTES = { csv: "/internal/data/upload-csv", json: "/internal/data/upload-json" };
const ANY = "/internal/data/uploads";

// First bytes of what cannot be read from its start alone: gzip, zstd, bzip2, xz, zip (and
// workbooks), Parquet, Avro.
const WHOLE = [[0x1f, 0x8b], [0x28, 0xb5, 0x2f, 0xfd], [0x42, 0x5a, 0x68], [0xfd, 0x37, 0x7a, 0x58],
  [0x50, 0x4b, 3, 4], [0x50, 0x41, 0x52, 0x31], [0x4f, 0x62, 0x6a, 1]];

class Cancelled extends Error {}

async function startOf(file) {
  if (file.size <= START) return { part: file, isAll: true };
  const first = new Uint8Array(await file.slice(0, 8).arrayBuffer());
  const isWhole = WHOLE.some((magic) => magic.every((byte, i) => first[i] === byte));
  return isWhole ? { part: file, isAll: true } : { part: file.slice(0, START), isAll: false };
}

const query = (values) => new URLSearchParams(
  Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== ""));

function formOf(file, mapping) {
  const form = new FormData();
  if (mapping) form.append("mapping_settings", JSON.stringify(mapping));
  form.append("file", file, file.name || "file");
  return form;
}

// Of a file's name its end alone is asked with: addresses are written down on their way.
const endOf = (name) => `file${(/(\.[A-Za-z0-9]{1,8}){1,2}$/.exec(name) || [""])[0]}`;

async function inspect(session, file, options, signal) {
  const { part, isAll } = await startOf(file);
  const asked = query({ tenant_id: session.tenant, file_name: endOf(file.name), ...options,
    start_only: isAll ? null : "true" });
  const form = new FormData();
  form.append("file", part, file.name || "file");
  const answer = await askService(`/internal/data/uploads/inspect?${asked}`, session.key,
    { method: "POST", body: form, signal });
  return answer.json();
}

const BROKEN_OFF = "The connection broke off before the service had all of the file: nothing of it is stored.";
const BROKEN_OFF_REMEDY = "“Send again” takes it up under the same name, so nothing is stored twice. If it breaks " +
  "off at once, the file was changed meanwhile or the service refused it: look at it anew.";
const UNSURE = "The connection broke off when the file was sent: the service may have it.";
const UNSURE_REMEDY = "“Send again” asks under the same name: what was taken in is not stored twice.";

// Sends a form; `onProgress(sent, total)`. Returns {done, cancel}.
function transfer(path, session, form, name, onProgress) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    let isSent = false;
    request.open("POST", path);
    request.setRequestHeader("Authorization", `Bearer ${session.key}`);
    request.setRequestHeader("Idempotency-Key", name);
    request.upload.onprogress = (event) => onProgress(event.loaded, event.total);
    request.upload.onload = () => { isSent = true; };
    request.onabort = () => reject(new Cancelled());
    request.onerror = () => reject(isSent
      ? new Refused(UNSURE, UNSURE_REMEDY, 0) : new Refused(BROKEN_OFF, BROKEN_OFF_REMEDY, 0));
    request.onload = () => {
      let body = {};
      try { body = JSON.parse(request.responseText); } catch { /* told by its status */ }
      if (request.status < 400) resolve(body);
      else reject(refusal(request.status, body));
    };
    request.send(form);
  });
  return { done, cancel: () => request.abort() };
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Follows a job to its end; `onProgress(job)`. A service that is away for a while is asked again.
async function followed(session, url, onProgress, isWanted) {
  let missed = 0;
  while (isWanted()) {
    try {
      const job = await (await askService(url, session.key)).json();
      missed = 0;
      if (!["queued", "running"].includes(job.state)) return job;
      onProgress(job);
    } catch (error) {
      if (error.status && error.status < 500) throw error;
      missed += 1;
      if (missed > TRIES) {
        throw new Refused("The service does not answer any more; it goes on with the file when it is back.",
          "Look at the batches below in a while.", 0);
      }
    }
    await pause(POLL_MS * (1 + missed));
  }
  throw new Cancelled();
}

// A name of this upload, so that sending it again is known; getRandomValues needs no TLS.
const uploadName = () => `page-${[...crypto.getRandomValues(new Uint8Array(16))]
  .map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;

function saveFile(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = el("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

function size(bytes) {
  for (const unit of ["bytes", "KB", "MB"]) {
    if (bytes < 1000) return `${number.format(bytes)} ${unit}`;
    bytes /= 1000;
  }
  return `${number.format(bytes)} GB`;
}
