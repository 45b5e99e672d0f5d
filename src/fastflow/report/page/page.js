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

// Show what is at the nearest time: its date, then each line's sample, name and value.
function showTip(buttons) {
  return (handler, event, item, values) => {
    if (!values) {
      tip.hidden = true;
      return;
    }
    const [time, ...rest] = Object.values(values);
    const head = document.createElement("p");
    head.textContent = time;
    const rows = rest.map((text, index) => {
      const row = document.createElement("div");
      const name = document.createElement("span");
      const value = document.createElement("span");
      name.textContent = buttons[index].textContent;
      value.textContent = text;
      row.append(buttons[index].querySelector("svg").cloneNode(true), name, value);
      row.hidden = !isShown(buttons[index]);
      return row;
    });
    tip.replaceChildren(head, ...rows);
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const room = document.documentElement.clientWidth - width - 8;
    const left = event.clientX + 16 > room ? event.clientX - width - 16 : event.clientX + 16;
    tip.style.left = `${Math.max(8, Math.min(left, room))}px`;
    tip.style.top = `${Math.max(8, event.clientY - height - 12)}px`;
  };
}

async function draw(figure) {
  const spec = JSON.parse(figure.querySelector(":scope > script").textContent);
  const live = figure.querySelector(".live");
  const buttons = [...live.querySelectorAll("button")];
  // Its width is measured: it must have one.
  live.hidden = false;
  spec.width = "container";
  spec.autosize = { type: "fit-x", contains: "padding" };
  const { view } = await vegaEmbed(live.querySelector(".plot"), spec, {
    actions: false,
    ast: true,
    defaultStyle: false,
    renderer: "svg",
    tooltip: showTip(buttons),
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
