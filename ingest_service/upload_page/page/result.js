// What came of an upload or a dry run, as its answer says.

const SHOWN_ISSUES = 50;

function resultView(session, job, isDry) {
  const body = job.result || {};
  if (job.state === "failed") return refusalCard(new Refused(body.error || "The upload failed.", body.remedy || "", 0));
  if (job.http_status >= 400) {
    const where = body.line ? ` (line ${count(body.line)})` : "";
    return refusalCard(new Refused(`${body.detail || "The file was refused."}${where} Nothing of it is stored.`, body.remedy || "", job.http_status));
  }
  return el("div", { class: "card" }, el("h3", {}, isDry ? "The dry run" : "The upload"),
    el("p", {}, outcomeMark(body, isDry)), countsTable(body),
    codesView("Errors, by reason", body.error_count, body.errors_by_code),
    codesView("Warnings, by reason", body.warning_count, body.warnings_by_code),
    issuesView(session, job, body));
}

function outcomeMark(body, isDry) {
  if (body.status === "validation_failed") {
    const wrong = `${count(body.rows_rejected)} of ${count(body.rows_received)} rows are wrong`;
    return [mark("bad", isDry ? `${wrong}: nothing would be stored` : `${wrong}: nothing is stored`),
      " Correct the file or the mapping, or take the good rows and keep the wrong ones aside."];
  }
  if (!body.rows_accepted && body.quarantined && body.quarantined === body.rows_received) {
    return mark("bad", isDry ? "every row would be rejected" : "every row was rejected");
  }
  const stored = `${count(body.rows_accepted)} ${isDry ? "would be stored" : "stored"}`;
  if (body.quarantined) return mark("watch", `${stored}, ${count(body.quarantined)} kept aside`);
  return body.rows_accepted ? mark("good", stored) : mark("none", "nothing new: every row is known already");
}

function countsTable(body) {
  const cells = [["received", body.rows_received], ["stored", body.rows_accepted], ["known already", body.duplicates],
    ["kept aside", body.quarantined], ["dropped, of erased people", body.suppressed]];
  const given = cells.filter(([, value]) => value !== undefined);
  return el("dl", { class: "facts" }, given.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, count(value)))));
}

function codesView(title, total, byCode) {
  if (!total) return null;
  const rows = Object.entries(byCode || {}).sort((a, b) => b[1] - a[1]);
  return el("div", {}, el("h3", {}, title), table(title, ["reason", numeric("times")],
    rows.map(([name, times]) => [code(name), { class: "number", value: count(times) }])));
}

function issuesView(session, job, body) {
  if (!body.error_count && !body.warning_count) return null;
  const kind = body.error_count ? "errors" : "warnings";
  const box = el("div", {});
  const draw = (issues) => box.replaceChildren(
    el("h3", {}, `First ${kind}, by line`),
    table(`First ${kind}`, [numeric("line"), "column", "reason", { title: "what", class: "words" }],
      issues.slice(0, SHOWN_ISSUES).map((one) => [{ class: "number", value: count(one.line) }, one.column,
        code(one.code), { class: "words", value: one.reason }])),
    el("p", {}, el("button", { type: "button", onclick: () => downloadIssues(session, job, kind, box) },
      `All ${kind} as a CSV file`)));
  if ((body[kind] || []).length) draw(body[kind]);
  else {  // a long answer is kept without its lists
    box.replaceChildren(el("p", {}, "Reading…"));
    askService(`${job.url}/row-issues?kind=${kind}&limit=${SHOWN_ISSUES}`, session.key)
      .then((answer) => answer.json()).then((page) => draw(page.row_issues))
      .catch((error) => box.replaceChildren(refusalCard(error)));
  }
  return box;
}

async function downloadIssues(session, job, kind, box) {
  try {
    const answer = await askService(`${job.url}/row-issues.csv?kind=${kind}`, session.key);
    saveFile(await answer.blob(), `${job.job_id}-${kind}.csv`);
  } catch (error) {
    box.append(refusalCard(error));
  }
}
