/**
 * What `OnDemand` loads when a repository has a configuration, or a program gives one, as one file.
 *
 * @since 0.1.0
 */
export * as ConfigJson from "../values/ConfigJson.ts"
export * as IcechunkConfig from "./config/IcechunkConfig.ts"
