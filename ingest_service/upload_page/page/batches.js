// What was sent before: batches that were stored, newest first, and uploads that were not.

const PAGE = 20;

// `view`: say(text), refresh(), openRejects(batch).
async function batchesView(session, view) {
  const base = `/v1/tenants/${encodeURIComponent(session.tenant)}/ingest`;
  const [page, jobs] = await Promise.all([
    askService(`${base}/batches?limit=${PAGE}`, session.key).then((answer) => answer.json()),
    askService(`${base}/uploads?limit=50`, session.key).then((answer) => answer.json())]);
  const rows = el("tbody", {});
  const older = el("p", {});
  const add = (found) => {
    rows.append(...found.batches.map((batch) => batchRow(batch, view)));
    older.replaceChildren(found.next ? el("button", { type: "button", onclick: async () => {
      try {
        add(await (await askService(`${base}/batches?${query({ limit: PAGE, after: found.next })}`, session.key)).json());
      } catch (error) { older.replaceChildren(refusalCard(error)); }
    } }, "Older batches") : "");
  };
  add(page);
  const shell = table("Batches, newest first", ["received (UTC)", "rows are", "status", numeric("received"),
    numeric("stored"), numeric("known"), numeric("rejected, open"), numeric("dropped"), "from", "batch"], []);
  shell.querySelector("tbody").replaceWith(rows);
  const stored = new Set(page.batches.map((batch) => batch.batch_id));
  const others = jobs.uploads.filter((job) => !stored.has(job.batch_id))
    .filter((job) => job.state !== "succeeded" || (job.result || {}).dry_run);
  return [
    page.batches.length ? [shell, older] : el("p", {}, "Nothing was stored yet."),
    others.length ? more(`Uploads that stored nothing, or are under way: ${count(others.length)}`,
      () => table("Uploads that stored nothing, or are under way", ["sent (UTC)", "status", { title: "what", class: "words" }],
        others.map((job) => [{ class: "time", value: time(job.created_at) }, ...jobStatus(job)])), hasOpen(others)) : null,
  ];
}

const hasOpen = (jobs) => jobs.some((job) => ["queued", "running"].includes(job.state));

function batchRow(batch, view) {
  const status = batch.quarantined
    ? el("button", { type: "button", class: "link", onclick: (event) => view.openRejects(batch.batch_id, event.currentTarget) },
      `${count(batch.quarantined)} rejected`)
    : batch.stored ? mark("good", "stored") : mark("none", "nothing new");
  const numbers = [batch.received, batch.stored, batch.duplicate, batch.quarantined, batch.suppressed];
  return el("tr", {},
    el("th", { scope: "row", class: "time" }, time(batch.received_at)), el("td", {}, batch.data_type),
    el("td", {}, status, batch.replays ? ` ${count(batch.replays)} × replayed` : ""),
    numbers.map((value) => el("td", { class: "number" }, count(value))),
    el("td", {}, batch.source), el("td", {}, el("code", {}, batch.batch_id)));
}

function jobStatus(job) {
  const body = job.result || {};
  if (job.state === "queued") return [mark("none", "waits for its turn"), ""];
  if (job.state === "running") {
    const progress = job.progress || {};
    return [mark("none", "is read"), progress.bytes_total
      ? `${size(progress.bytes_read)} of ${size(progress.bytes_total)}` : ""];
  }
  if (body.dry_run) {
    const wrong = body.status === "validation_failed" ? body.rows_rejected : body.quarantined;
    return [mark("none", "dry run"), `${count(body.rows_received)} rows, ${count(wrong)} wrong`];
  }
  if (job.state === "failed") return [mark("bad", "failed"), [body.error, body.remedy].filter(Boolean).join("; ")];
  const words = body.status === "validation_failed"
    ? `${count(body.rows_rejected)} of ${count(body.rows_received)} rows are wrong`
    : [body.detail, body.remedy].filter(Boolean).join("; ");
  return [mark("bad", "nothing stored"), words];
}
