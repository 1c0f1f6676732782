/** What a repository must do on every store, in the safe mode from another region than the data's. */
import { suite } from "../../core/test/repository/RepositorySuite.ts"
import * as TestTigris from "./support/TestTigris.ts"

suite("a repository on Tigris", TestTigris.layer())
