// The report as a file: the document stands in the page.

const report = JSON.parse(document.getElementById("document").textContent);
document.body.replaceChildren(
  el("header", {}, el("span", { class: "name" }, "eta · data quality report"), themeButton()),
  el("main", {}, reportView(report)),
  el("footer", {}, "No user, item or event is named here: rows that a check shows are masked."));
