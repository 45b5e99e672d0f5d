// Draws each figure from its specification in place of its still picture, which stays for
// printing. Without this script the page shows the pictures.
"use strict";

const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
tip.setAttribute("aria-hidden", "true");
document.body.append(tip);

const isShown = (button) => button.getAttribute("aria-pressed") === "true";
const show = (button, yes) => button.setAttribute("aria-pressed", String(yes));

// Where the pointer is, mark the nearest time of the figure, and tell its row of data: each
// line's sample, name and value.
function followPointer(plot, view, times, rows, buttons) {
  const mark = document.createElement("div");
  mark.className = "mark";
  mark.hidden = true;
  plot.append(mark);
  const instants = times.map(Date.parse);
  plot.addEventListener("pointermove", (event) => {
    const start = view.padding().left + view.origin()[0];
    const x = view.scale("x");
    const at = +x.invert(event.clientX - plot.getBoundingClientRect().left - start);
    const far = instants.map((instant) => Math.abs(instant - at));
    const nearest = far.indexOf(Math.min(...far));
    mark.style.left = `${start + x(instants[nearest])}px`;
    mark.style.top = `${view.padding().top + view.origin()[1]}px`;
    mark.style.height = `${view.height()}px`;
    mark.hidden = false;
    fillTip(rows[nearest].cells, buttons);
    placeTip(event);
  });
  plot.addEventListener("pointerleave", () => {
    mark.hidden = tip.hidden = true;
  });
}

function fillTip([time, ...values], buttons) {
  const head = document.createElement("p");
  head.textContent = time.textContent;
  const lines = buttons.map((button, index) => {
    const line = document.createElement("div");
    const [name, value] = [document.createElement("span"), document.createElement("span")];
    name.textContent = button.textContent;
    value.textContent = values[index].textContent;
    line.append(button.querySelector("svg").cloneNode(true), name, value);
    line.hidden = !isShown(button);
    return line;
  });
  tip.replaceChildren(head, ...lines);
  tip.hidden = false;
}

function placeTip({ clientX, clientY }) {
  const { width, height } = tip.getBoundingClientRect();
  const room = document.documentElement.clientWidth - width - 8;
  const left = clientX + 16 > room ? clientX - width - 16 : clientX + 16;
  tip.style.left = `${Math.max(8, Math.min(left, room))}px`;
  tip.style.top = `${Math.max(8, clientY - height - 12)}px`;
}

async function draw(figure) {
  const { spec, times } = JSON.parse(figure.querySelector(":scope > script").textContent);
  const live = figure.querySelector(".live");
  const plot = live.querySelector(".plot");
  const buttons = [...live.querySelectorAll("button")];
  // Its width is measured: it must have one.
  live.hidden = false;
  spec.width = "container";
  spec.autosize = { type: "fit-x", contains: "padding" };
  const { view } = await vegaEmbed(plot, spec, {
    actions: false,
    ast: true,
    defaultStyle: false,
    renderer: "svg",
    tooltip: false,
  });
  for (const button of buttons) {
    button.addEventListener("click", () => {
      show(button, !isShown(button));
      // Nothing is to be seen of no line: the last one brings the others back.
      if (!buttons.some(isShown)) buttons.forEach((one) => show(one, true));
      const hidden = buttons.filter((one) => !isShown(one));
      view.signal("hidden", hidden.map((one) => one.value)).runAsync();
    });
  }
  followPointer(plot, view, times, figure.querySelectorAll("tbody tr"), buttons);
  figure.querySelector(".still").hidden = true;
  figure.classList.add("drawn");
}

async function drawAll() {
  for (const figure of document.querySelectorAll("figure:has(.live)")) {
    try {
      await draw(figure);
    } catch (error) {
      figure.querySelector(".live").hidden = true;
      console.error(error);
    }
  }
  document.documentElement.dataset.ready = "";
}

drawAll();
