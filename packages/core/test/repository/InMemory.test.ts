import * as MemoryObjectStore from "@effect-icechunk/core/store/MemoryObjectStore"
import { suite } from "./RepositorySuite.ts"

suite("in memory", MemoryObjectStore.layer())
