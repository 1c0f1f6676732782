console.log("no demo yet", process.version)
