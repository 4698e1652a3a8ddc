"use strict";
// Shows one program and one of its frames at a time. Without this script the page shows all of them.
(() => {
  const programs = [...document.querySelectorAll("article.program")];
  if (!programs.length) return;
  document.documentElement.classList.add("js");
  const links = [...document.querySelectorAll("nav.index a")];
  const places = programs.map((program) => Number(program.dataset.start));
  let shown = 0;

  const within = (value, list) => Math.max(0, Math.min(list.length - 1, value));

  function showFrame(place) {
    const program = programs[shown];
    const frames = [...program.querySelectorAll("section.frame")];
    const at = (places[shown] = within(place, frames));
    frames.forEach((frame, i) => frame.classList.toggle("now", i === at));
    program.querySelectorAll(".strip button").forEach((cell, i) => cell.classList.toggle("now", i === at));
    program.querySelector("input[type=range]").value = at;
    const { real, predicted } = frames[at].dataset;
    for (const line of program.querySelectorAll("ol.code li")) {
      line.classList.toggle("real", line.dataset.line === real);
      line.classList.toggle("predicted", line.dataset.line === predicted && predicted !== real);
    }
    const marked = program.querySelector("ol.code li.real") || program.querySelector("ol.code li.predicted");
    const code = program.querySelector("ol.code");
    if (marked) {
      const middle = marked.offsetTop - code.clientHeight / 2;
      if (marked.offsetTop < code.scrollTop || marked.offsetTop > code.scrollTop + code.clientHeight - 30) {
        code.scrollTop = middle;
      }
    }
  }

  function nextWrong() {
    const frames = [...programs[shown].querySelectorAll("section.frame")];
    const later = frames.findIndex((frame, i) => i > places[shown] && frame.classList.contains("wrong"));
    const first = frames.findIndex((frame) => frame.classList.contains("wrong"));
    if (first >= 0) showFrame(later >= 0 ? later : first);
  }

  function showProgram(index) {
    shown = within(index, programs);
    programs.forEach((program, i) => program.classList.toggle("now", i === shown));
    links.forEach((link, i) => link.toggleAttribute("aria-current", i === shown));
    showFrame(places[shown]);
  }

  programs.forEach((program, index) => {
    program.querySelector(".controls").hidden = false;
    program.querySelector("input[type=range]").addEventListener("input", (event) => showFrame(Number(event.target.value)));
    program.querySelectorAll(".strip button").forEach((cell) =>
      cell.addEventListener("click", () => showFrame(Number(cell.dataset.frame))));
    program.querySelectorAll("[data-go]").forEach((button) =>
      button.addEventListener("click", () => {
        if (button.dataset.go === "wrong") nextWrong();
        else if (button.dataset.go === "all") {
          const all = program.classList.toggle("all");
          button.setAttribute("aria-pressed", String(all));
          button.textContent = all ? "one frame" : "all frames";
        } else showFrame(places[shown] + Number(button.dataset.go));
      }));
    links[index].addEventListener("click", (event) => {
      event.preventDefault();
      history.replaceState(null, "", "#program-" + index);
      showProgram(index);
    });
  });

  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowRight") showFrame(places[shown] + 1);
    else if (event.key === "ArrowLeft") showFrame(places[shown] - 1);
    else if (event.key === "n") nextWrong();
    else return;
    event.preventDefault();
  });

  const asked = /^#program-(\d+)$/.exec(location.hash);
  showProgram(asked ? Number(asked[1]) : 0);
})();
