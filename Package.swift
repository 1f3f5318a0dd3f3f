// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target of the product is compiled with the same strict settings: the language's
/// next defaults, marked unsafe code and no warnings.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

/// Tests call C functions freely; everything else is as strict.
let tested: [SwiftSetting] = [
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

/// Byte work (cutting, hashing, encoding) is optimised in debug builds too: without it a test
/// on real amounts of data measures the compiler's debug mode.
let optimised: [SwiftSetting] = strict + [.unsafeFlags(["-O"], .when(configuration: .debug))]

let argumentParser = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let core: [Target] = [
    .target(name: "CSystem", path: "Sources/Core/CSystem"),
    .target(name: "BackupCore", path: "Sources/Core/BackupCore", swiftSettings: optimised),
    .target(
        name: "BlockingThread", dependencies: ["CSystem"], path: "Sources/Core/BlockingThread",
        swiftSettings: strict),
]

let devices: [Target] = [
    .systemLibrary(
        name: "CLibMTP", path: "Sources/Devices/CLibMTP", pkgConfig: "libmtp",
        providers: [.apt(["libmtp-dev"])]),
    .systemLibrary(
        name: "CLibUSB", path: "Sources/Devices/CLibUSB", pkgConfig: "libusb-1.0",
        providers: [.apt(["libusb-1.0-0-dev"])]),
    .target(
        name: "USBPresence", dependencies: ["BackupCore", "CLibUSB"],
        path: "Sources/Devices/USBPresence", swiftSettings: strict),
    .target(
        name: "AndroidMTP", dependencies: ["BackupCore", "CLibMTP"],
        path: "Sources/Devices/AndroidMTP", exclude: ["README.md"], swiftSettings: strict),
    .systemLibrary(
        name: "CLibIMobileDevice", path: "Sources/Devices/CLibIMobileDevice",
        pkgConfig: "libimobiledevice-1.0", providers: [.apt(["libimobiledevice-dev"])]),
    .target(
        name: "ApplePhone",
        dependencies: ["BackupCore", "BlockingThread", "CLibIMobileDevice", "CSystem"],
        path: "Sources/Devices/ApplePhone", swiftSettings: strict),
    .target(
        name: "DeviceWorker", dependencies: ["BackupCore", "BlockingThread", "CSystem"],
        path: "Sources/Devices/DeviceWorker", swiftSettings: strict),
]

let engine: [Target] = [
    .target(
        name: "BackupEngine", dependencies: ["BackupCore"], path: "Sources/Engine/BackupEngine",
        swiftSettings: strict),
    .target(
        name: "AppleBackup",
        dependencies: [
            "ApplePhone", "BackupCore", "BackupEngine", "BlockingThread", "ResticFormat", grdb,
        ], path: "Sources/Engine/AppleBackup", swiftSettings: strict),
]

let repository: [Target] = [
    .systemLibrary(
        name: "CZstd", path: "Sources/Repository/CZstd", pkgConfig: "libzstd",
        providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(
        name: "CLibCrypto", path: "Sources/Repository/CLibCrypto", pkgConfig: "libcrypto",
        providers: [.apt(["libssl-dev"])]),
    .target(
        name: "ResticFormat", dependencies: ["BackupCore", "CZstd", "CLibCrypto"],
        path: "Sources/Repository/ResticFormat", swiftSettings: optimised),
    .target(
        name: "ResticRepository",
        dependencies: ["BackupCore", "BlockingThread", "CSystem", "ResticFormat"],
        path: "Sources/Repository/ResticRepository", swiftSettings: optimised),
    .target(
        name: "Drives", dependencies: ["BackupCore", "BlockingThread", "CSystem", "ResticFormat"],
        path: "Sources/Repository/Drives", swiftSettings: strict),
]

let appliance: [Target] = [
    .systemLibrary(
        name: "CQRencode", path: "Sources/Appliance/CQRencode", pkgConfig: "libqrencode",
        providers: [.apt(["libqrencode-dev"])]),
    .target(
        name: "ControlAPI", dependencies: ["BackupCore"], path: "Sources/Appliance/ControlAPI",
        swiftSettings: strict),
    .target(
        name: "Appliance",
        dependencies: [
            "BackupCore", "BlockingThread", "CQRencode", "CSystem", "ControlAPI", "ResticFormat",
            "ResticRepository", "Drives", "BackupEngine", "DeviceWorker", "AndroidMTP",
            "AppleBackup", "ApplePhone", "USBPresence", grdb, logging, yams,
        ],
        path: "Sources/Appliance/Appliance", swiftSettings: strict),
]

let programs: [Target] = [
    .executableTarget(
        name: "holdfast",
        dependencies: ["BackupCore", "Appliance", "ControlAPI", argumentParser],
        path: "Sources/Programs/holdfast", swiftSettings: strict),
    .executableTarget(
        name: "holdfast-agent",
        dependencies: ["BackupCore", "Appliance", "ControlAPI", argumentParser],
        path: "Sources/Programs/holdfast-agent", swiftSettings: strict),
    .executableTarget(
        name: "holdfast-simulator", dependencies: ["SimulatedPhones", argumentParser],
        path: "Sources/Programs/holdfast-simulator", swiftSettings: strict),
]

let simulators: [Target] = [
    .target(name: "CSimulatedLibUSB", path: "Sources/Simulators/CSimulatedLibUSB"),
    .systemLibrary(
        name: "CPhoneCrypto", path: "Sources/Simulators/CPhoneCrypto", pkgConfig: "libcrypto",
        providers: [.apt(["libssl-dev"])]),
    .systemLibrary(
        name: "CPhoneTLS", path: "Sources/Simulators/CPhoneTLS", pkgConfig: "libssl",
        providers: [.apt(["libssl-dev"])]),
    .systemLibrary(
        name: "CPhoneSQLite", path: "Sources/Simulators/CPhoneSQLite", pkgConfig: "sqlite3",
        providers: [.apt(["libsqlite3-dev"])]),
    .target(
        name: "SimulatedPhones", dependencies: ["CPhoneCrypto", "CPhoneSQLite", "CPhoneTLS"],
        path: "Sources/Simulators/SimulatedPhones", swiftSettings: optimised),
]

/// The tests of one target, in `Tests/<target>Tests`.
func tests(_ name: String, with dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: dependencies, path: "Tests/\(name)Tests",
        exclude: name == "DeviceWorker" ? ["Helper", "Kit"] : [], swiftSettings: tested)
}

let testing: [Target] = [
    .target(
        name: "TestKit", dependencies: ["BackupCore"], path: "Tests/TestKit",
        swiftSettings: tested),
    .executableTarget(
        name: "device-worker-test-helper",
        dependencies: [
            "AndroidMTP", "ApplePhone", "BackupCore", "DeviceTestKit", "DeviceWorker",
            "USBPresence",
        ],
        path: "Tests/DeviceWorkerTests/Helper", swiftSettings: tested),
    tests("BackupCore", with: ["BackupCore"]),
    tests("BlockingThread", with: ["BlockingThread"]),
    tests("USBPresence", with: ["BackupCore", "USBPresence"]),
    .target(
        name: "DeviceTestKit", dependencies: ["BackupCore", "DeviceWorker"],
        path: "Tests/DeviceWorkerTests/Kit", swiftSettings: tested),
    tests(
        "AndroidMTP",
        with: [
            "AndroidMTP", "BackupCore", "DeviceTestKit", "DeviceWorker", "SimulatedPhones",
            "device-worker-test-helper",
        ]),
    tests(
        "ApplePhone",
        with: [
            "ApplePhone", "BackupCore", "DeviceTestKit", "DeviceWorker", "SimulatedPhones",
            "TestKit", "device-worker-test-helper", grdb,
        ]),
    tests(
        "DeviceWorker",
        with: [
            "BackupCore", "BackupEngine", "DeviceTestKit", "DeviceWorker", "TestKit",
            "device-worker-test-helper",
        ]),
    tests("BackupEngine", with: ["BackupCore", "BackupEngine", "TestKit"]),
    tests(
        "AppleBackup",
        with: ["AppleBackup", "ApplePhone", "BackupCore", "BackupEngine", "TestKit", grdb]),
    tests("ResticFormat", with: ["BackupCore", "ResticFormat"]),
    tests(
        "ResticRepository",
        with: [
            "BackupCore", "BlockingThread", "CSystem", "ResticFormat", "ResticRepository",
            "TestKit",
        ]),
    tests("Drives", with: ["BackupCore", "ResticFormat", "Drives"]),
    tests("ControlAPI", with: ["BackupCore", "ControlAPI"]),
    tests(
        "Appliance",
        with: [
            "BackupCore", "ControlAPI", "Appliance", "ResticFormat", "ResticRepository", "Drives",
        ]),
    tests("SimulatedPhones", with: ["SimulatedPhones", "holdfast-simulator"]),
    .executableTarget(
        name: "store-benchmark",
        dependencies: [
            "Appliance", "BackupCore", "BackupEngine", "BlockingThread", "CSystem", "Drives",
            "ResticFormat", "ResticRepository",
        ],
        path: "Tests/Benchmarks/StoreBenchmark", swiftSettings: strict),
    .executableTarget(
        name: "torture",
        dependencies: [
            "Appliance", "BackupCore", "BackupEngine", "BlockingThread", "CSystem", "Drives",
            "ResticFormat", "ResticRepository", "TestKit",
        ],
        path: "Tests/Torture", exclude: ["Mutants"], swiftSettings: tested),
    tests("Package"),
    tests("Udev", with: ["holdfast-agent"]),
    tests(
        "EndToEnd",
        with: ["SimulatedPhones", "holdfast", "holdfast-agent", "holdfast-simulator"]),
]

let package = Package(
    name: "holdfast",
    products: [
        // Loaded by the simulator's clients in place of libusb; by this name it is never linked
        // by accident.
        .library(name: "HoldfastUSBIP", type: .dynamic, targets: ["CSimulatedLibUSB"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: core + devices + engine + repository + appliance + programs + simulators + testing,
    swiftLanguageModes: [.v6]
)
