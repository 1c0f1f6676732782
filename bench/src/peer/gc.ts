import type { Tasks } from "../Work.ts"

/** Of the official engine only the Python package collects garbage. */
export const tasks: Tasks = {}
