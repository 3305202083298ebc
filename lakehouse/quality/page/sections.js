// The parts of a tenant's report, from the document alone.

const GOAL = 95, POOR = 85;

const scoreKind = (score) =>
  score === null ? "none" : score >= GOAL ? "good" : score >= POOR ? "watch" : "bad";
const SCORE_WORDS = { good: "good", watch: "to watch", bad: "poor", none: "not measured" };
const scoreMark = (score) => mark(scoreKind(score), SCORE_WORDS[scoreKind(score)]);

function freshnessMark(kind) {
  const age = kind.freshness_hours, objective = kind.freshness_objective_hours;
  if (age === null) return mark("bad", "late: nothing lately");
  return age <= objective
    ? mark("good", `${hours(age)} of ${hours(objective)}`)
    : mark("bad", `${hours(age)} of ${hours(objective)}: late`);
}

function reportView(report) {
  return [
    el("h1", { tabindex: "-1" }, report.tenant_id),
    el("p", { class: "quiet" },
      `The last ${report.days} days, as of ${time(report.generated_at)} UTC.`),
    report.unread.map((text) => el("p", { class: "card notice", role: "status" }, mark("watch", text))),
    nowSection(report),
    overTimeSection(report),
    rejectsSection(report),
    gatesSection(report),
    runsSection(report),
    costsSection(report),
    buildsSection(report),
  ];
}

const last = (kind) => kind.history.length ? kind.history[kind.history.length - 1] : null;

function nowSection(report) {
  if (!report.data_types.length) {
    return section("Now", null, el("p", {},
      `Nothing was received in the last ${report.days} days, and nothing was measured. ` +
      "Figures appear here with the first upload and the run of the models after it."));
  }
  const share = (value) => ({ class: "number", value: percent(value) });
  const rows = report.data_types.map((kind) => {
    const now = last(kind) || {};
    const got = (name) => share(now[name] === undefined ? null : now[name]);
    return [
      kind.data_type, share(kind.score), scoreMark(kind.score),
      got("completeness_percent"), got("validity_percent"), got("uniqueness_percent"),
      got("consistency_percent"),
      { class: "number", value: freshnessMark(kind) },
      { class: "time", value: time(kind.last_received_at) },
    ];
  });
  return section("Now",
    `The score is the lowest of the data types' own; ${GOAL} % is the goal. Shares are of the newest ` +
    "measurement, freshness is the age of the newest batch now, of the age it may have. Times are UTC.",
    el("p", { class: "hero" }, el("b", {}, percent(report.score)), scoreMark(report.score)),
    table("Quality now, by data type",
      ["data type", numeric("score"), "", numeric("completeness"), numeric("validity"),
        numeric("uniqueness"), numeric("consistency"), numeric("freshness"), "last received"], rows));
}

function measures(objective) {
  const percentage = (name, title, rest) => ({
    name, title, range: percentRange, text: percent, tick: (v) => number.format(v), ...rest });
  return [
    percentage("score", "Score", { aim: GOAL, aimed: "goal" }),
    percentage("completeness_percent", "Completeness"),
    percentage("validity_percent", "Validity"),
    percentage("uniqueness_percent", "Uniqueness"),
    percentage("consistency_percent", "Consistency"),
    { name: "freshness_hours", title: "Freshness", range: hoursRange(objective), text: hours,
      tick: (v) => `${number.format(v)} h`, aim: objective, aimed: "objective" },
  ];
}

function overTimeSection(report) {
  const kinds = report.data_types.filter((kind) => kind.history.length);
  const about = "Each point is a measurement: percentages of the rows of a day, and for freshness the age of " +
    "the newest batch at that time.";
  if (!kinds.length) {
    return section("Over time", about,
      el("p", {}, "Nothing was measured yet: a measurement follows each run of the models that found new rows."));
  }
  const place = el("div", {});
  const buttons = kinds.map((kind) => el("button", {
    type: "button", onclick: () => show(kind) }, kind.data_type));
  const show = (kind) => {
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", kinds[i] === kind));
    place.replaceChildren(
      chartGroup(kind.history, measures(kind.freshness_objective_hours), kind.data_type),
      more(`All ${count(kind.history.length)} measurements of ${kind.data_type} as a table`,
        () => measurementsTable(kind)));
  };
  show(kinds[0]);
  return section("Over time", about,
    el("div", { class: "row", role: "group", "aria-label": "Data type" }, buttons), place);
}

function measurementsTable(kind) {
  const percents = ["score", "completeness_percent", "validity_percent", "uniqueness_percent",
    "consistency_percent"];
  const counts = ["received", "stored", "duplicate", "quarantined", "suppressed", "incomplete",
    "invalid", "inconsistent", "retried"];
  const rows = [...kind.history].reverse().map((m) => [
    { class: "time", value: time(m.measured_at) },
    ...percents.map((name) => percent(m[name])),
    hours(m.freshness_hours),
    ...counts.map((name) => count(m[`${name}_count`])),
  ]);
  const columns = ["measured", ...percents.map((n) => numeric(n.replace("_percent", ""))),
    numeric("freshness"), ...counts.map((n) => numeric(n))];
  return [
    table(`Measurements of ${kind.data_type}, newest first`, columns, rows),
    kind.is_cut && el("p", { class: "quiet" }, "Older measurements are left out."),
  ];
}

function rejectsSection(report) {
  const about = "Rows in quarantine, by reason: they are kept, and can be mended and taken in. " +
    "A row with several reasons is in several counts.";
  if (!report.rejects.length) {
    return section("Rejects by reason", about, el("p", {}, mark("good", "No row is in quarantine.")));
  }
  const most = Math.max(...report.rejects.map((r) => r.rows));
  return section("Rejects by reason", about, table("Rejected rows by reason",
    ["reason", "data type", "field", numeric("rows"), "", numeric("batches"), "what to do"],
    report.rejects.map((r) => [
      code(r.code), r.data_type, r.field || "–", count(r.rows),
      { class: "bars", value: bar(r.rows / most) }, count(r.batches),
      { class: "words", value: r.remedy || "–" },
    ])));
}

function bar(share) {
  const node = el("span", { class: "bar", "aria-hidden": "true" });
  node.style.width = `${Math.max(share * 100, 1)}%`;
  return node;
}

const plural = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;

function gatesSection(report) {
  const about = "What Soda's checks said of the tenant. One that does not pass is not published; " +
    "its earlier training set stays current.";
  if (!report.gates.length) {
    return section("Gates and their checks", about,
      el("p", {}, "The checks have not run in this time: every run of the models ends with them."));
  }
  const firstBad = report.gates.findIndex((gate) => !gate.passed);
  return section("Gates and their checks", about,
    matrix("Checks that were not met, by gate", "check",
      report.gates.slice(0, 20).reverse().map((gate) => ({
        title: time(gate.checked_at),
        cells: new Map(gate.checks.map((c) => [c.check, c.severity === "failure" ? "bad" : "watch"])),
      })), { bad: "failed", watch: "warned", good: "met" }),
    report.gates.slice(0, 20).map((gate, index) =>
      more(gateSummary(gate), () => gateDetails(gate), index === firstBad && index === 0)));
}

function gateSummary(gate) {
  const failures = gate.checks.filter((c) => c.severity === "failure").length;
  const warnings = gate.checks.length - failures;
  const found = [failures && `${plural(failures, "check")} failed`,
    warnings && plural(warnings, "warning")].filter(Boolean).join(", ");
  return [gate.passed ? mark("good", "passed") : mark("bad", "held back"),
    time(gate.checked_at), found && ` · ${found}`];
}

function gateDetails(gate) {
  const checks = gate.checks.map((c) => [
    code(c.check),
    c.severity === "failure" ? mark("bad", "failed") : mark("watch", "warned"),
    c.table, figure(c.measured), c.expected, { class: "words", value: c.sentence },
    { class: "see", value: [
      c.see && more("command", () => el("code", {}, c.see)),
      c.samples.length > 0 && more(plural(c.samples.length, "row") + ", masked", () => samples(c)),
    ] },
  ]);
  return [
    checks.length
      ? table("Checks not met", ["check", "", "table", numeric("measured"), "expected", "what",
        "to see more"], checks)
      : el("p", {}, "Every check was met."),
    Object.entries(gate.figures).map(([layer, figures]) =>
      more(`Everything measured in ${layer}`, () => table(`Figures of ${layer}`,
        ["figure", numeric("value")],
        Object.entries(figures).map(([name, value]) => [name, figure(value)])))),
  ];
}

function samples(check) {
  const names = [...new Set(check.samples.flatMap((row) => Object.keys(row)))];
  return table(`Rows behind ${check.check}, identifiers masked`, names,
    check.samples.map((row) => names.map((name) => figure(row[name] === undefined ? null : row[name]))));
}

const exact = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 4 });

function figure(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return exact.format(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

// What went wrong in the newest columns: a row for each name that did not do well in one of them.
function matrix(caption, head, columns, words) {
  const names = [...new Set(columns.flatMap((column) => [...column.cells.keys()]))].sort();
  if (!names.length || columns.length < 2) return null;
  const cell = (kind) => [
    el("span", { class: `cell ${kind}`, "aria-hidden": "true" }, SIGNS[kind]),
    el("span", { class: "unseen" }, words[kind] || "not run"),
  ];
  return table(caption,
    [head, ...columns.map((column) => ({ title: el("span", { title: column.title },
      el("span", { "aria-hidden": "true" }, column.title.split(" ")[0]),
      el("span", { class: "unseen" }, column.title)) }))],
    names.map((name) => [code(name),
      ...columns.map((column) => el("span", { title: `${column.title}: ${words[column.cells.get(name)] || words.good}` },
        cell(column.cells.get(name) || "good")))]),
    "matrix");
}

const STATES = { succeeded: "good", refused: "watch", failed: "bad", interrupted: "bad", running: "none" };
const OUTCOMES = { published: "good", unchanged: "none", refused: "bad" };

function runsSection(report) {
  const about = "Runs of the models, and what became of this tenant's training set.";
  if (!report.runs.length) {
    return section("Last runs", about, el("p", {}, "The models have not run yet: `eta prepare`."));
  }
  const length = (run) => run.finished_at === null ? (run.state === "running" ? "running" : "–")
    : seconds((new Date(run.finished_at) - new Date(run.started_at)) / 1000);
  return section("Last runs", about, table("Runs of the models",
    ["run", "state", "started", numeric("took"), "training set", "why"],
    report.runs.map((run) => [
      run.run_id, mark(STATES[run.state] || "none", run.state),
      { class: "time", value: time(run.started_at) }, length(run),
      run.outcome ? mark(OUTCOMES[run.outcome], run.outcome) : "–",
      { class: "words", value: run.reason || "–" },
    ])));
}

const FAILED = new Set(["error", "fail", "runtime error"]);
const nodeKind = (node) => FAILED.has(node.status) ? "bad"
  : node.status === "warn" ? "watch" : node.status === "skipped" ? "none" : "good";

function buildsSection(report) {
  const about = "What dbt made of its models and tests, which are those of all tenants.";
  if (!report.builds.length) {
    return section("dbt", about, el("p", {}, "No dbt command was recorded in this time."));
  }
  const notWell = (build) => new Map(build.nodes.filter((n) => nodeKind(n) !== "good")
    .map((n) => [n.name, nodeKind(n)]));
  return section("dbt", about,
    matrix("Models and tests that did not succeed, by run", "model or test",
      [...report.builds].reverse().map((build) => ({
        title: time(build.started_at), cells: notWell(build) })),
      { bad: "failed", watch: "warned", none: "skipped", good: "succeeded" }),
    report.builds.map((build) => more(buildSummary(build), () => buildDetails(build))));
}

function buildSummary(build) {
  const of = (kind) => build.nodes.filter((n) => n.kind === kind);
  const failed = build.nodes.filter((n) => nodeKind(n) === "bad").length;
  return [build.is_success ? mark("good", "succeeded") : mark("bad", `${failed} failed`),
    `${time(build.started_at)} · ${plural(of("model").length, "model")}, ` +
    `${plural(of("test").length, "test")} · ${seconds(build.seconds)}`,
    build.run_id && el("span", { class: "quiet" }, ` · ${build.run_id}`)];
}

function buildDetails(build) {
  const rank = { bad: 0, watch: 1, none: 2, good: 3 };
  const nodes = [...build.nodes].sort((a, b) =>
    rank[nodeKind(a)] - rank[nodeKind(b)] || b.seconds - a.seconds);
  const most = Math.max(...nodes.map((n) => n.seconds), 0.01);
  return table("Models and tests, failed ones first, then the slowest",
    ["name", "kind", "status", numeric("failing rows"), numeric("took"), ""],
    nodes.map((n) => [code(n.name), n.kind, mark(nodeKind(n), n.status), count(n.failures),
      seconds(n.seconds), { class: "bars", value: bar(n.seconds / most) }]));
}

function costsSection(report) {
  const about = "What the tenant keeps in the lake since the last run, and its share of what the models and their " +
    `tests took in the last ${report.days} days, by what was written for it. What no tenant alone caused is in no share.`;
  const costs = report.costs || [];
  if (!costs.length) {
    return section("What it costs", about, el("p", {}, "No run of the models has been measured yet."));
  }
  const most = Math.max(...costs.map((c) => c.kept_bytes || 0), 1);
  const isSeen = costs.some((c) => c.processor_seconds !== null);
  return section("What it costs", about, table("Costs by stage",
    ["stage", numeric("kept"), "", numeric("rows"), numeric("written"), numeric("took"),
      ...(isSeen ? [numeric("processor")] : [])],
    costs.map((c) => [
      code(c.stage), bytes(c.kept_bytes), { class: "bars", value: bar((c.kept_bytes || 0) / most) },
      count(c.kept_rows), bytes(c.written_bytes), seconds(c.seconds),
      ...(isSeen ? [seconds(c.processor_seconds)] : []),
    ])));
}
