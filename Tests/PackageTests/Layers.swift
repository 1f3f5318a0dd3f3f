/// A target of the package and what its files may import: the direction of the whole product.
struct Layer {
    /// The target's name, which is its module's.
    let name: String
    /// Its folder from the root.
    let folder: String
    /// Other targets of this package.
    let mayImport: Set<String>
    /// Modules of packages that were bought.
    var bought: Set<String> = []
    /// Whether a test target of its own must stand beside it.
    var isLibrary = true

    /// The standard library's modules and the C library, open to every layer above the core.
    static let system: Set<String> = ["Glibc", "Synchronization"]

    /// All layers, in the order the data travels. A file outside these folders is a violation, so
    /// a new target starts with a line here.
    static let all: [Layer] = [
        Layer(name: "BackupCore", folder: "Sources/Core/BackupCore", mayImport: []),
        Layer(
            name: "BlockingThread", folder: "Sources/Core/BlockingThread", mayImport: ["CSystem"]),
        Layer(
            name: "USBPresence", folder: "Sources/Devices/USBPresence",
            mayImport: ["BackupCore", "BlockingThread", "CLibUSB"]),
        Layer(
            name: "AndroidMTP", folder: "Sources/Devices/AndroidMTP",
            mayImport: ["BackupCore", "BlockingThread", "CLibMTP"]),
        Layer(
            name: "ApplePhone", folder: "Sources/Devices/ApplePhone",
            mayImport: ["BackupCore", "BlockingThread", "CLibIMobileDevice", "CSystem"]),
        Layer(
            name: "DeviceWorker", folder: "Sources/Devices/DeviceWorker",
            mayImport: ["BackupCore", "BlockingThread", "CSystem"]),
        Layer(
            name: "BackupEngine", folder: "Sources/Engine/BackupEngine",
            mayImport: ["BackupCore"]),
        Layer(
            name: "AppleBackup", folder: "Sources/Engine/AppleBackup",
            mayImport: [
                "ApplePhone", "BackupCore", "BackupEngine", "BlockingThread", "ResticFormat",
            ], bought: ["GRDB", "Foundation"]),
        Layer(
            name: "ResticFormat", folder: "Sources/Repository/ResticFormat",
            mayImport: ["BackupCore", "CZstd", "CLibCrypto"]),
        Layer(
            name: "ResticRepository", folder: "Sources/Repository/ResticRepository",
            mayImport: ["BackupCore", "BlockingThread", "CSystem", "ResticFormat"]),
        Layer(
            name: "Drives", folder: "Sources/Repository/Drives",
            mayImport: ["BackupCore", "BlockingThread", "CSystem", "ResticFormat"]),
        Layer(
            name: "ControlAPI", folder: "Sources/Appliance/ControlAPI", mayImport: ["BackupCore"]),
        Layer(
            name: "Appliance", folder: "Sources/Appliance/Appliance",
            mayImport: [
                "BackupCore", "BlockingThread", "CQRencode", "CSystem", "USBPresence",
                "AndroidMTP", "AppleBackup", "ApplePhone", "DeviceWorker", "BackupEngine",
                "ResticFormat", "ResticRepository",
                "Drives", "ControlAPI",
            ],
            bought: ["GRDB", "Logging", "Yams", "Foundation"]),
        Layer(
            name: "SimulatedPhones", folder: "Sources/Simulators/SimulatedPhones",
            mayImport: [
                "BackupCore", "BlockingThread", "CPhoneCrypto", "CPhoneSQLite", "CPhoneTLS",
                "CSystem",
            ],
            bought: ["Foundation"]),
        Layer(
            name: "holdfast", folder: "Sources/Programs/holdfast",
            mayImport: ["Appliance", "ControlAPI", "BackupCore"], bought: ["ArgumentParser"],
            isLibrary: false),
        Layer(
            name: "holdfast-agent", folder: "Sources/Programs/holdfast-agent",
            mayImport: ["Appliance", "ControlAPI", "BackupCore"], bought: ["ArgumentParser"],
            isLibrary: false),
        Layer(
            name: "holdfast-simulator", folder: "Sources/Programs/holdfast-simulator",
            mayImport: ["SimulatedPhones"], bought: ["ArgumentParser", "Foundation"],
            isLibrary: false),
    ]

    /// C libraries of others: each has one Swift file that knows it.
    static let foreignLibraries: Set<String> = [
        "CLibMTP", "CLibUSB", "CZstd", "CLibCrypto", "CQRencode", "CPhoneCrypto", "CPhoneSQLite",
        "CPhoneTLS",
    ]

    /// The modules a file of this layer may name. The core names none at all.
    var allowed: Set<String> {
        mayImport.union(bought).union(name == "BackupCore" ? [] : Self.system)
    }

    /// The layer whose folder holds `path`.
    static func of(_ path: String) -> Layer? {
        all.first { path.hasPrefix($0.folder + "/") }
    }
}
