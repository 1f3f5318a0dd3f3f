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
    .target(name: "BackupCore", path: "Sources/Core/BackupCore", swiftSettings: strict),
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
        path: "Sources/Devices/AndroidMTP", swiftSettings: strict),
    .target(
        name: "DeviceWorker", dependencies: ["BackupCore", "BlockingThread", "CSystem"],
        path: "Sources/Devices/DeviceWorker", swiftSettings: strict),
]

let engine: [Target] = [
    .target(
        name: "BackupEngine", dependencies: ["BackupCore"], path: "Sources/Engine/BackupEngine",
        swiftSettings: strict)
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

let package = Package(
    name: "holdfast",
    products: [],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: core + devices + engine + repository,
    swiftLanguageModes: [.v6]
)
