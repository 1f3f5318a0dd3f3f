import Appliance
import ArgumentParser
import BackupCore
import ControlAPI

/// `holdfast phones`
struct PhonesCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "phones",
        abstract: "Show the phones that are plugged in, and known ones that are away.")

    @ParentCommand var parent: Holdfast
    @OptionGroup var filter: FilterOptions
    @OptionGroup var output: OutputOptions

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        let phones = try await box.phones(filter.filter())
        if output.json {
            Terminal.out(JSONValue.array(phones.map(\.json)).line)
            return .done
        }
        if phones.isEmpty { Terminal.err("No phone is plugged in, and none is known.") }
        let rows = phones.map { phone in
            [
                phone.id?.rawValue ?? "-", phone.bay?.rawValue ?? "-", phone.state,
                phone.name.map { HostileText.escaped($0, limit: 40) } ?? "-", phone.message,
            ]
        }
        Table.print(["PHONE", "BAY", "STATE", "NAME", ""], rows)
        return .done
    }
}

/// `holdfast snapshots`
struct SnapshotsCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshots",
        abstract: "Show the snapshots and which drives hold them, oldest first.")

    @ParentCommand var parent: Holdfast
    @OptionGroup var filter: FilterOptions
    @OptionGroup var output: OutputOptions

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        let list = try await box.snapshots(filter.filter())
        let snapshots = list.documents
        for (owner, failure) in list.failures.sorted(by: { $0.key < $1.key }) {
            Terminal.err("holdfast: Owner \(owner): " + failure.explanation)
        }
        let code = BackupCore.ExitCode.worst(of: list.failures.values.map(\.exitCode))
        if output.json {
            Terminal.out(JSONValue.array(snapshots.map(\.json)).line)
            return code
        }
        if snapshots.isEmpty, list.failures.isEmpty { Terminal.err("There are no snapshots yet.") }
        Table.print(
            ["SNAPSHOT", "TIME", "PHONE", "CAPTURE", "FILES", "SIZE", "COPIES"],
            snapshots.map(Self.row))
        return code
    }

    private static func row(_ snapshot: SnapshotDocument) -> [String] {
        let time = RFC3339.text(
            Timestamp(seconds: snapshot.time.seconds),
            utcOffsetSeconds: snapshot.utcOffsetSeconds)
        let good = snapshot.copies.count { $0.state != "behind" }
        let verified = snapshot.copies.count { $0.state == "verified" }
        return [
            snapshot.id.short, time,
            HostileText.escaped(snapshot.phoneName ?? "-", limit: 30),
            (snapshot.capture?.rawValue ?? "-") + (snapshot.isComplete ? "" : " (partial)"),
            snapshot.files.map(String.init) ?? "-",
            snapshot.bytes.map(ByteText.of) ?? "-",
            "\(good) of \(snapshot.copies.count)" + (verified > 0 ? ", \(verified) verified" : ""),
        ]
    }
}

/// `holdfast show`
struct ShowCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one snapshot in detail: the phone, what was skipped, which drive holds it.")

    @ParentCommand var parent: Holdfast
    @Argument(help: "latest, a snapshot's id, or the start of one.")
    var snapshot: String
    @OptionGroup var filter: FilterOptions
    @OptionGroup var output: OutputOptions

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        let document = try await box.show(snapshot, filter.filter())
        if output.json {
            Terminal.out(document.line)
        } else {
            Outline.print(document)
        }
        return .done
    }
}

/// `holdfast ls`
struct ListCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List the files and folders of a snapshot.",
        discussion: """
            Of an iPhone's backup --contents lists what it holds by domain and path, and --path may \
            name such a path: HomeDomain/Library/SMS/sms.db.
            """)

    @ParentCommand var parent: Holdfast
    @Argument(help: "latest, a snapshot's id, or the start of one.")
    var snapshot: String
    @Option(help: ArgumentHelp("Only this file or folder and what is in it.", valueName: "path"))
    var path: String?
    @Flag(help: "What an iPhone's backup holds, by domain and path.")
    var contents = false
    @OptionGroup var filter: FilterOptions
    @OptionGroup var output: OutputOptions

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        var entries: [JSONValue] = []
        try await box.entries(
            of: snapshot, filter.filter(), path: path, isByDomain: contents
        ) { entry in
            if output.json {
                entries.append(entry.json)
            } else {
                Terminal.out(Self.line(entry))
            }
        }
        if output.json { Terminal.out(JSONValue.array(entries).line) }
        return .done
    }

    private static func line(_ entry: EntryDocument) -> String {
        let kind = entry.node.isDirectory ? "d" : "-"
        let size = entry.node.isDirectory ? "" : "\(entry.node.byteCount)"
        let padding = String(repeating: " ", count: max(0, 12 - size.count))
        let time = RFC3339.text(Timestamp(seconds: entry.node.modified.seconds))
        return "\(kind) \(padding)\(size) \(time) \(entry.path)"
    }
}

/// `holdfast drives`
struct DrivesCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "drives", abstract: "Show the enrolled drives and how they are.")

    @ParentCommand var parent: Holdfast
    @OptionGroup var filter: FilterOptions
    @OptionGroup var output: OutputOptions

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        let drives = try await box.driveDocuments(filter.filter())
        if output.json {
            Terminal.out(JSONValue.array(drives.map(\.json)).line)
            return .done
        }
        let rows = drives.map { drive in
            [
                drive.id.rawValue, HostileText.escaped(drive.name, limit: 30), drive.state,
                drive.freeBytes.map { ByteText.of($0) + " free" } ?? "-",
                drive.lastVerified.map {
                    "verified " + RFC3339.text(Timestamp(seconds: $0.seconds))
                }
                    ?? "never verified", HostileText.escaped(drive.path, limit: 60),
                ([drive.message] + drive.pending.map(\.sentence)).filter { !$0.isEmpty }
                    .joined(separator: " "),
            ]
        }
        Table.print(["DRIVE", "NAME", "STATE", "SPACE", "READ BACK", "PATH", ""], rows)
        return .done
    }
}

/// `holdfast status`
struct StatusCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what a person should know now: last backups, drives, missing sheets.")

    @ParentCommand var parent: Holdfast
    @OptionGroup var filter: FilterOptions
    @OptionGroup var output: OutputOptions

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        let status = try await box.status(filter.filter())
        if output.json {
            Terminal.out(status.json.line)
            return .done
        }
        for phone in status.phones {
            let name = HostileText.escaped(phone.phone.name, limit: 40)
            Terminal.out("\(name) (\(phone.phone.id)): \(Self.words(phone))")
        }
        for drive in status.drives {
            Terminal.out(
                "Drive \(HostileText.escaped(drive.name)) (\(drive.id)): \(drive.state)"
                    + (drive.freeBytes.map { ", \(ByteText.of($0)) free" } ?? ""))
        }
        for warning in status.warnings { Terminal.out("! " + warning) }
        if status.phones.isEmpty { Terminal.err("No phone was backed up yet.") }
        return .done
    }

    private static func words(_ phone: StatusDocument.Phone) -> String {
        guard phone.isKnown else { return "the last backup cannot be told now" }
        guard let last = phone.last, let age = phone.ageSeconds else {
            return "no complete backup yet"
        }
        let time = RFC3339.text(
            Timestamp(seconds: last.time.seconds), utcOffsetSeconds: last.utcOffsetSeconds)
        let hours = max(0, age) / 3600
        let when = hours < 48 ? "\(hours) h ago" : "\(hours / 24) days ago"
        return "last complete backup \(time) (\(when)), " + (phone.isSafe ? "safe" : "not safe")
    }
}
