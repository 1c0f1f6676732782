/**
 * Names of parameters, levels and statistics. Source: WMO Manual on Codes, code tables 4.2, 4.5 and 4.10; short names as ecCodes
 * has them.
 *
 * @since 0.1.0
 */

/** By discipline, category and number: short name, long name, units. */
const names: Readonly<Record<string, readonly [string, string, string]>> = {
  "0/0/0": ["t", "Temperature", "K"],
  "0/0/2": ["pt", "Potential temperature", "K"],
  "0/0/4": ["tmax", "Maximum temperature", "K"],
  "0/0/5": ["tmin", "Minimum temperature", "K"],
  "0/0/6": ["dpt", "Dew point temperature", "K"],
  "0/0/10": ["lhtfl", "Latent heat net flux", "W m-2"],
  "0/0/11": ["shtfl", "Sensible heat net flux", "W m-2"],
  "0/1/0": ["q", "Specific humidity", "kg kg-1"],
  "0/1/1": ["r", "Relative humidity", "%"],
  "0/1/3": ["pwat", "Precipitable water", "kg m-2"],
  "0/1/7": ["prate", "Precipitation rate", "kg m-2 s-1"],
  "0/1/8": ["tp", "Total precipitation", "kg m-2"],
  "0/1/10": ["acpcp", "Convective precipitation", "kg m-2"],
  "0/1/11": ["sde", "Snow depth", "m"],
  "0/1/13": ["sdwe", "Water equivalent of accumulated snow depth", "kg m-2"],
  "0/2/0": ["wdir", "Wind direction", "degree"],
  "0/2/1": ["ws", "Wind speed", "m s-1"],
  "0/2/2": ["u", "U component of wind", "m s-1"],
  "0/2/3": ["v", "V component of wind", "m s-1"],
  "0/2/8": ["w", "Vertical velocity", "Pa s-1"],
  "0/2/9": ["wz", "Geometric vertical velocity", "m s-1"],
  "0/2/10": ["absv", "Absolute vorticity", "s-1"],
  "0/2/22": ["gust", "Wind speed (gust)", "m s-1"],
  "0/3/0": ["pres", "Pressure", "Pa"],
  "0/3/1": ["prmsl", "Pressure reduced to mean sea level", "Pa"],
  "0/3/4": ["z", "Geopotential", "m2 s-2"],
  "0/3/5": ["gh", "Geopotential height", "gpm"],
  "0/6/1": ["tcc", "Total cloud cover", "%"],
  "0/7/6": ["cape", "Convective available potential energy", "J kg-1"],
  "0/7/7": ["cin", "Convective inhibition", "J kg-1"],
  "2/0/0": ["lsm", "Land-sea mask", "1"]
}

export const parameter = (discipline: number, category: number, number: number): readonly [string, string, string] =>
  names[`${discipline}/${category}/${number}`] ?? [
    `param_${discipline}_${category}_${number}`,
    `Parameter ${number} of category ${category}, discipline ${discipline}`,
    "unknown"
  ]

const levels: Readonly<Record<number, string>> = {
  1: "surface",
  2: "cloudBase",
  3: "cloudTop",
  4: "isothermZero",
  6: "maxWind",
  7: "tropopause",
  8: "nominalTop",
  10: "atmosphere",
  100: "isobaric",
  101: "meanSea",
  102: "heightAboveSea",
  103: "heightAboveGround",
  104: "sigma",
  105: "hybrid",
  106: "depthBelowLand",
  107: "theta",
  108: "pressureFromGround",
  200: "atmosphereSingleLayer"
}

/** The kind of a level; that of a layer ends in `Layer`. */
export const level = (first: number, second: number): string => {
  const name = levels[first] ?? `level_${first}`
  return second === 255
    ? first === 100
      ? "isobaricInhPa"
      : name
    : second === first
      ? `${name}Layer`
      : `${name}Layer_${second}`
}

const statistics: Readonly<Record<number, string>> = {
  0: "avg",
  1: "accum",
  2: "max",
  3: "min",
  4: "diff",
  5: "rms",
  6: "sd"
}

export const statistic = (process: number | undefined): string =>
  process === undefined ? "instant" : (statistics[process] ?? `statistic_${process}`)

/** Hours of a unit of time. */
export const hours: Readonly<Record<number, number>> = { 0: 1 / 60, 1: 1, 2: 24, 10: 3, 11: 6, 12: 12, 13: 1 / 3600 }
