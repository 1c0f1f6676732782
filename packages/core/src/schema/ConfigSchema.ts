/**
 * Schemas of the configuration and of containers, for programs that keep them in a configuration of their own or send
 * them elsewhere. This module loads `effect/Schema`, which reading and writing repositories does without.
 *
 * They are of values in memory. In `config.json` the fields of `additional_fields` stand beside the others:
 * `RepositoryConfig.fromJson` and `toJson`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as ConfigShape from "../values/ConfigShape.ts"
import type * as Config from "../values/RepositoryConfig.ts"
import type { Form, Shape } from "../values/Shape.ts"
import type * as Container from "../values/VirtualChunkContainer.ts"

const ofForm = (form: Form): Schema.Codec<unknown> => {
  switch (form._tag) {
    case "Any":
      return Schema.Unknown
    case "Text":
      return Schema.String
    case "Flag":
      return Schema.Boolean
    case "Whole":
      return Schema.Int.check(Schema.isBetween({ minimum: form.least, maximum: form.most }))
    case "OneOf":
      return Schema.Union(form.values.map((value) => (value === null ? Schema.Null : Schema.Literal(value))))
    case "List":
      return Schema.Array(ofForm(form.item))
    case "Tuple":
      return Schema.Tuple(form.items.map(ofForm))
    case "Fields":
      return Schema.Struct(
        Object.fromEntries(Object.entries(form.fields).map(([name, field]) => [name, ofField(field)]))
      )
    case "Record":
      return Schema.Record(Schema.String, Schema.Unknown)
    case "Union":
      return Schema.Union(form.members.map(ofForm))
    case "Optional":
      return ofForm(form.shape)
    case "Later":
      return Schema.suspend(() => ofForm(form.shape()))
  }
}

const ofField = (form: Form) => (form._tag === "Optional" ? Schema.optional(ofForm(form.shape)) : ofForm(form))

const of = <A>(shape: Shape<A>): Schema.Codec<A> => ofForm(shape) as Schema.Codec<A>

/**
 * A configuration.
 *
 * @category schemas
 * @since 0.1.0
 */
export const RepositoryConfig: Schema.Codec<Config.RepositoryConfig> = of(ConfigShape.repositoryConfig)

/**
 * A container.
 *
 * @category schemas
 * @since 0.1.0
 */
export const VirtualChunkContainer: Schema.Codec<Container.VirtualChunkContainer> = of(
  ConfigShape.virtualChunkContainer
)
