// Reads the data and shows each part of the page.

function main() {
  const { report, figures, texts } = JSON.parse(document.getElementById("data").textContent);
  const cases = new CaseList(report, texts);
  const onlyShow = (suite, indices, words) => cases.showOnly({ suite, indices: new Set(indices), words });
  showSummary(report, cases.all);
  showGates(report);
  showScores(report, figures, onlyShow);
  showOptimizations(report);
  showNotes(report);
  const links = [...document.querySelectorAll("main > section:not([hidden])")].map((each) =>
    make("a", { href: `#${each.id}` }, each.querySelector("h2").textContent));
  document.getElementById("sections").append(...links);
  document.documentElement.dataset.ready = "yes";
}

main();
