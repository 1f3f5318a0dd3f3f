import Foundation
import SimulatedPhones
import Testing

/// Programs nobody here wrote are the judges.
@Suite(.serialized)
struct UnmodifiedProgramsTests {
    @Test(.enabled(if: ProgramResult.isInstalled("mtp-detect")))
    func mtpDetectDescribesThePhone() throws {
        let run = try PhoneRun(content: { FolderContent(path: $0) })
        let result = try run.run("mtp-detect")
        #expect(result.output.contains("Model: Pixel 7"))
        #expect(result.output.contains("Serial number: SIM0000001"))
        #expect(result.output.contains("android.com: 1.0"))
        #expect(result.output.contains("Detected object size: 64 bits"))
        #expect(result.output.contains("StorageDescription: Internal shared storage"))
        #expect(result.output.contains("Battery level 80 of 100"))
        #expect(!result.output.contains("PANIC"))
    }

    @Test(.enabled(if: ProgramResult.isInstalled("mtp-files")))
    func mtpFilesListsEveryFileWithItsSize() throws {
        let files = smallTree()
        let run = try PhoneRun(content: { _ in GeneratedContent(files: files) })
        let output = try run.run("mtp-files").output
        #expect(output.components(separatedBy: "File ID:").count - 1 == files.count)
        for file in files {
            let name = file.path.split(separator: "/").last ?? ""
            #expect(output.contains("Filename: \(name)"), "\(file.path)")
            #expect(output.contains("File size \(file.content.byteCount) "), "\(file.path)")
        }
        #expect(run.phone.status.counters.bytesRead.isEmpty)
    }

    @Test(.enabled(if: ProgramResult.isInstalled("mtp-folders")))
    func mtpFoldersListsEveryFolder() throws {
        let run = try PhoneRun(content: { _ in GeneratedContent(files: smallTree()) })
        let output = try run.run("mtp-folders").output
        for folder in ["DCIM", "Camera", "Download", "com.whatsapp", "Media"] {
            #expect(output.contains(folder))
        }
    }

    @Test(
        .enabled(if: ProgramResult.isInstalled("mtp-getfile")),
        arguments: [0, 1, 499, 500, 501, 512, 1012, 16_372, 16_384, 1_000_000])
    func mtpGetfileReadsTheSameBytes(size: Int) throws {
        // Sizes around packets (512), with and without the 12-byte head, and libmtp's reads.
        var bytes = [UInt8](repeating: 0, count: size)
        DeterministicBytes(seed: UInt64(size), texture: .noise, byteCount: UInt64(size))
            .fill(&bytes, at: 0, count: size, from: 0)
        let run = try PhoneRun(content: { folder in
            try Data(bytes).write(to: URL(fileURLWithPath: folder + "/photo.jpg"))
            return FolderContent(path: folder)
        })
        let target = run.folder + "/got.jpg"
        _ = try run.run("mtp-files")
        let result = try run.run("mtp-getfile", ["1", target])
        let got = try Data(contentsOf: URL(fileURLWithPath: target))
        #expect(got == Data(bytes), "\(result.output)")
        if size > 0 {
            #expect(run.phone.status.counters.bytesRead == ["0:photo.jpg": UInt64(size)])
        }
    }

    @Test(.enabled(if: ProgramResult.isInstalled("mtp-sendfile")), arguments: [500, 70_000])
    func mtpSendfileWritesTheSameBytes(size: Int) throws {
        let run = try PhoneRun(content: { FolderContent(path: $0, isWritable: true) })
        let source = run.folder + "/song.txt"
        let bytes = Data((0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) })
        try bytes.write(to: URL(fileURLWithPath: source))
        let result = try run.run("mtp-sendfile", [source, "song.txt"])
        let sent = try? Data(contentsOf: URL(fileURLWithPath: run.tree + "/song.txt"))
        #expect(sent == bytes, "\(result.output)")
    }

    @Test(.enabled(if: ProgramResult.isInstalled("lsusb")))
    func lsusbShowsTheDescriptors() throws {
        var options = PhoneOptions()
        options.identity.functions = .mtpAndDebugging
        options.bay = 2
        let run = try PhoneRun(content: { FolderContent(path: $0) }, options: options)
        #expect(try run.run("lsusb").output.contains("ID 18d1:4ee2"))
        let verbose = try run.run("lsusb", ["-v"]).output
        #expect(verbose.contains("bNumInterfaces          2"))
        #expect(verbose.contains("4 MTP"))
        #expect(verbose.contains("5 ADB Interface"))
    }

    @Test(.enabled(if: ProgramResult.canMount))
    func jmtpfsShowsTheSameTree() throws {
        // jmtpfs itself refuses to open names of 255 bytes (it adds to them in its own folder).
        let files = smallTree().filter { $0.path.utf8.count < 250 }
        let run = try PhoneRun(content: { folder in
            try TreeWriter.write(files, to: folder)
            return GeneratedContent(files: files)
        })
        let mount = run.folder + "/mount"
        try FileManager.default.createDirectory(
            atPath: mount, withIntermediateDirectories: true)
        let mounted = try run.run("jmtpfs", [mount])
        defer { _ = try? run.run("fusermount", ["-uz", mount]) }  // nothing depends on it
        #expect(mounted.exitCode == 0, "\(mounted.output)")
        let difference = try run.run(
            "diff", ["-r", mount + "/Internal shared storage", run.tree])
        #expect(difference.exitCode == 0, "\(difference.output)")
    }

    @Test(.enabled(if: ProgramResult.isInstalled("mtp-detect")))
    func lockedPhoneHasNoStoragesUntilUnlocked() throws {
        var options = PhoneOptions()
        options.startsLocked = true
        let run = try PhoneRun(content: { FolderContent(path: $0) }, options: options)
        #expect(!(try run.run("mtp-detect").output).contains("StorageDescription"))
        run.phone.perform(.unlock)
        #expect(try run.run("mtp-detect").output.contains("StorageDescription"))
    }

    @Test(.enabled(if: ProgramResult.isInstalled("mtp-getfile")))
    func unpluggedPhoneIsGoneUntilReplugged() throws {
        let run = try PhoneRun(content: { _ in GeneratedContent(files: smallTree()) })
        let before = run.phone.status.address
        run.phone.perform(.unplug)
        #expect(try run.run("mtp-detect").output.contains("No raw devices found"))
        run.phone.perform(.replug)
        #expect(run.phone.status.address != before)
        #expect(try run.run("mtp-detect").output.contains("Model: Pixel 7"))
    }

    @Test(
        .enabled(if: ProgramResult.isInstalled("mtp-getfile")),
        arguments: [0, 13, 400_000] as [UInt64])
    func cableBreaksAtTheByteAsked(after count: UInt64) throws {
        let run = try PhoneRun(content: { folder in
            try Data(count: 1_000_000).write(to: URL(fileURLWithPath: folder + "/a.jpg"))
            return FolderContent(path: folder)
        })
        _ = try run.run("mtp-files")
        let before = run.phone.status.bytesMoved
        run.phone.perform(.unplugAfter(count))
        _ = try run.run("mtp-getfile", ["1", run.folder + "/got.jpg"])
        #expect(!run.phone.status.plugged)
        #expect(run.phone.status.bytesMoved == before + count)
    }
}
