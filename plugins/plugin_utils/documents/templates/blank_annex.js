"use strict";
// Puts what was filled in into a file, by the names of the inventory. Nothing is sent anywhere.
const form = document.forms[0], servers = document.getElementById("servers");
const saved = document.getElementById("saved"), data = document.getElementById("data");
const all = (of, name) => [...of.querySelectorAll(`[name="${name}"]`)];
const text = (of, name) => all(of, name)[0].value.trim();
const ticked = (of, name) => all(of, name).filter(box => box.checked).map(box => box.value);
const lines = (of, name) => text(of, name).split("\n").map(line => line.trim()).filter(line => line);

function add() {
  servers.append(document.getElementById("server").content.cloneNode(true));
  const labels = all(servers, "label");
  labels[labels.length - 1].value = labels.length > 1 ? `Serveur ${labels.length}` : "Serveur principal";
}

function group(prefix, names) {
  const found = Object.fromEntries(names.map(name => [name, text(form, prefix + name)]));
  return Object.values(found).some(value => value) ? found : null;
}

function answers() {
  const contact = ["title", "first_name", "name", "email", "mobile"];
  const substitute = group("substitute_", contact), address = group("address_", ["postal_code", "city"]);
  const found = {
    prosecours_client_name: text(form, "client_name"),
    prosecours_subscribed_gb: Number(text(form, "subscribed_gb")),
    prosecours_options: ticked(form, "options"),
    prosecours_contact_main: group("main_", contact),
    prosecours_instructions_by_mail: ticked(form, "by_mail").length > 0,
    servers: {},
  };
  if (substitute) found.prosecours_contact_substitute = substitute;
  if (address) found.prosecours_postal_address = {lines: lines(form, "address_lines"), ...address};
  for (const one of servers.querySelectorAll("fieldset")) {
    const own = {
      prosecours_software: ticked(one, "software"),
      prosecours_variants: ticked(one, "variants"),
      prosecours_office: lines(one, "office"),
    };
    if (text(one, "root")) own.prosecours_root = text(one, "root");
    // Two that are called the same stay two.
    let label = text(one, "label");
    for (let count = 2; label in found.servers; count++) label = `${text(one, "label")} (${count})`;
    found.servers[label] = own;
  }
  return found;
}

document.getElementById("add").addEventListener("click", add);
form.addEventListener("submit", event => {
  event.preventDefault();
  data.value = JSON.stringify(answers(), null, 1) + "\n";
  saved.hidden = false;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([data.value], {type: "application/json"}));
  link.download = "annexe-remplie.json";
  link.click();
  saved.scrollIntoView();
});
add();
