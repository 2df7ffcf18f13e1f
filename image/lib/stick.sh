# shellcheck shell=bash disable=SC2034,SC2154  # $work: the script that sources it
# A USB stick of the emulated machine: as it is bought, and plugged in and pulled out while the machine runs. Sourced after
# card_machine.sh.
#
#     stick_make                          a new stick, with one partition and the file system that it is sold with
#     virt_start ... "${stick_port[@]}"   starts a machine with a USB port
#     stick_plug | stick_pull             plugs it in, or pulls it out without a word
#     "${stick_plugged[@]}"               after the port: the stick is plugged in before the machine starts

stick=$work/stick.img
stick_mib=128
stick_port=(-device "qemu-xhci,id=usb" -monitor "unix:$work/monitor,server=on,wait=off"
    -blockdev "driver=raw,node-name=stick,file.driver=file,file.filename=$stick")
stick_plugged=(-device "usb-storage,bus=usb.0,drive=stick,id=stick")

stick_make() {
    rm -f "$stick"
    truncate -s "${stick_mib}M" "$stick"
    printf 'label: dos\nstart=2048, type=c\n' | sfdisk --quiet "$stick"
    mkfs.vfat --offset 2048 -n NEW "$stick" "$(((stick_mib - 1) * 1024))" >/dev/null
}
stick_plug() { monitor "device_add usb-storage,bus=usb.0,drive=stick,id=stick"; }
stick_pull() { monitor "device_del stick"; }

# monitor COMMAND: gives the emulator a command, and prints its answer; fails if it complains.
monitor() {
    python3 - "$work/monitor" "$1" <<-'END'
	import socket, sys

	PROMPT, TIMEOUT_S = b"(qemu) ", 60
	monitor = socket.socket(socket.AF_UNIX)
	monitor.settimeout(TIMEOUT_S)
	monitor.connect(sys.argv[1])

	def answer():
	    text = b""
	    while not text.endswith(PROMPT):
	        read = monitor.recv(4096)
	        if not read:
	            sys.exit("the monitor is gone")
	        text += read
	    return text.decode(errors="replace")

	answer()
	monitor.sendall(sys.argv[2].encode() + b"\n")
	said = answer()
	print(said)
	sys.exit("Error" in said)
	END
}
