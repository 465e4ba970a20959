import { bindPlayer } from "./player.js";

const result = document.querySelector(".result");
if (result) bindPlayer(result);
