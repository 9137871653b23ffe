<?xml version="1.0" encoding="UTF-8"?>
<tileset version="1.8" tiledversion="1.8.2" name="island" tilewidth="16" tileheight="16" tilecount="288" columns="16">
 <image source="tiles.png" width="256" height="288"/>
 <tile id="0" type="deep water"/>
 <tile id="1" type="deep water"/>
 <tile id="2" type="water"/>
 <tile id="3" type="water"/>
 <tile id="4" type="shallow water"/>
 <tile id="5" type="shallow water"/>
 <tile id="6" type="sand"/>
 <tile id="7" type="sand"/>
 <tile id="8" type="grass"/>
 <tile id="9" type="grass"/>
 <tile id="10" type="grass"/>
 <tile id="11" type="meadow"/>
 <tile id="12" type="meadow"/>
 <tile id="13" type="flowers"/>
 <tile id="14" type="flowers"/>
 <tile id="15" type="forest floor"/>
 <tile id="16" type="forest floor"/>
 <tile id="17" type="hill"/>
 <tile id="18" type="hill"/>
 <tile id="19" type="path"/>
 <tile id="20" type="path"/>
 <tile id="21" type="bridge"/>
 <tile id="22" type="tree"/>
 <tile id="23" type="tree"/>
 <tile id="24" type="autumn tree"/>
 <tile id="25" type="pine"/>
 <tile id="26" type="pine"/>
 <tile id="27" type="rock"/>
 <tile id="28" type="rock"/>
 <tile id="29" type="house"/>
 <tile id="30" type="house"/>
 <tile id="31" type="house"/>
 <tile id="32" type="field"/>
 <tile id="33" type="field"/>
 <tile id="34" type="water on deep"/>
 <tile id="35" type="water on deep"/>
 <tile id="36" type="water on deep"/>
 <tile id="37" type="water on deep"/>
 <tile id="38" type="water on deep"/>
 <tile id="39" type="shallow on water"/>
 <tile id="40" type="shallow on water"/>
 <tile id="41" type="shallow on water"/>
 <tile id="42" type="water on deep"/>
 <tile id="43" type="shallow on water"/>
 <tile id="44" type="shallow on water"/>
 <tile id="45" type="shallow on water"/>
 <tile id="46" type="shallow on water"/>
 <tile id="47" type="shallow on water"/>
 <tile id="48" type="shallow on water"/>
 <tile id="49" type="shallow on water"/>
 <tile id="50" type="shallow on water"/>
 <tile id="51" type="sand on shallow"/>
 <tile id="52" type="sand on shallow"/>
 <tile id="53" type="sand on shallow"/>
 <tile id="54" type="sand on shallow"/>
 <tile id="55" type="grass on sand"/>
 <tile id="56" type="grass on sand"/>
 <tile id="57" type="meadow on grass on sand"/>
 <tile id="58" type="meadow on sand"/>
 <tile id="59" type="meadow on sand"/>
 <tile id="60" type="sand on shallow"/>
 <tile id="61" type="grass on sand"/>
 <tile id="62" type="meadow on grass"/>
 <tile id="63" type="meadow on grass"/>
 <tile id="64" type="meadow on grass on sand"/>
 <tile id="65" type="grass on sand"/>
 <tile id="66" type="grass on sand"/>
 <tile id="67" type="shallow on water"/>
 <tile id="68" type="sand on shallow"/>
 <tile id="69" type="grass on sand"/>
 <tile id="70" type="water on deep"/>
 <tile id="71" type="sand on shallow"/>
 <tile id="72" type="meadow on sand"/>
 <tile id="73" type="meadow on grass on sand"/>
 <tile id="74" type="meadow on grass"/>
 <tile id="75" type="forest floor on sand"/>
 <tile id="76" type="forest floor on sand"/>
 <tile id="77" type="forest floor on meadow on sand"/>
 <tile id="78" type="forest floor on meadow"/>
 <tile id="79" type="meadow on grass"/>
 <tile id="80" type="meadow on grass"/>
 <tile id="81" type="meadow on grass"/>
 <tile id="82" type="water on deep"/>
 <tile id="83" type="water on deep"/>
 <tile id="84" type="forest floor on meadow on sand"/>
 <tile id="85" type="forest floor on sand"/>
 <tile id="86" type="forest floor on meadow"/>
 <tile id="87" type="meadow on grass"/>
 <tile id="88" type="meadow on grass"/>
 <tile id="89" type="grass on sand"/>
 <tile id="90" type="meadow on sand"/>
 <tile id="91" type="forest floor on meadow"/>
 <tile id="92" type="forest floor on meadow"/>
 <tile id="93" type="forest floor on meadow"/>
 <tile id="94" type="meadow on grass"/>
 <tile id="95" type="meadow on grass on sand"/>
 <tile id="96" type="forest floor on meadow"/>
 <tile id="97" type="meadow on grass"/>
 <tile id="98" type="meadow on grass"/>
 <tile id="99" type="meadow on sand"/>
 <tile id="100" type="meadow on sand"/>
 <tile id="101" type="sand on shallow"/>
 <tile id="102" type="sand on shallow"/>
 <tile id="103" type="meadow on sand"/>
 <tile id="104" type="sand on shallow"/>
 <tile id="105" type="sand on shallow"/>
 <tile id="106" type="meadow on grass on sand"/>
 <tile id="107" type="meadow on grass"/>
 <tile id="108" type="meadow on grass on sand"/>
 <tile id="109" type="forest floor on meadow"/>
 <tile id="110" type="forest floor on meadow"/>
 <tile id="111" type="path on grass"/>
 <tile id="112" type="path on grass"/>
 <tile id="113" type="path on grass"/>
 <tile id="114" type="path on grass"/>
 <tile id="115" type="path on grass"/>
 <tile id="116" type="path on grass"/>
 <tile id="117" type="path on grass"/>
 <tile id="118" type="meadow on grass on sand"/>
 <tile id="119" type="forest floor on meadow"/>
 <tile id="120" type="forest floor on meadow"/>
 <tile id="121" type="path on grass"/>
 <tile id="122" type="water on deep"/>
 <tile id="123" type="forest floor on meadow"/>
 <tile id="124" type="hill on meadow"/>
 <tile id="125" type="hill on meadow"/>
 <tile id="126" type="hill on meadow"/>
 <tile id="127" type="forest floor on meadow on sand"/>
 <tile id="128" type="forest floor on sand"/>
 <tile id="129" type="hill on meadow"/>
 <tile id="130" type="hill on meadow"/>
 <tile id="131" type="forest floor on meadow on sand"/>
 <tile id="132" type="hill on meadow"/>
 <tile id="133" type="forest floor on sand"/>
 <tile id="134" type="shallow on water"/>
 <tile id="135" type="sand on shallow"/>
 <tile id="136" type="forest floor on meadow"/>
 <tile id="137" type="hill on meadow"/>
 <tile id="138" type="hill on forest floor on meadow"/>
 <tile id="139" type="forest floor on sand"/>
 <tile id="140" type="hill on forest floor"/>
 <tile id="141" type="hill on forest floor"/>
 <tile id="142" type="hill on forest floor"/>
 <tile id="143" type="grass on sand"/>
 <tile id="144" type="grass on sand"/>
 <tile id="145" type="hill on forest floor"/>
 <tile id="146" type="hill on forest floor"/>
 <tile id="147" type="hill on forest floor on meadow"/>
 <tile id="148" type="hill on forest floor"/>
 <tile id="149" type="hill on forest floor"/>
 <tile id="150" type="forest floor on sand"/>
 <tile id="151" type="forest floor on sand"/>
 <tile id="152" type="hill on forest floor"/>
 <tile id="153" type="hill on forest floor"/>
 <tile id="154" type="hill on forest floor"/>
 <tile id="155" type="path on meadow on grass"/>
 <tile id="156" type="path on meadow"/>
 <tile id="157" type="hill on forest floor"/>
 <tile id="158" type="water on deep"/>
 <tile id="159" type="hill on forest floor"/>
 <tile id="160" type="forest floor on meadow on sand"/>
 <tile id="161" type="water on deep"/>
 <tile id="162" type="meadow on grass on sand"/>
 <tile id="163" type="path on meadow on grass"/>
 <tile id="164" type="forest floor on meadow on sand"/>
 <tile id="165" type="path on meadow"/>
 <tile id="166" type="meadow on grass on sand"/>
 <tile id="167" type="path on meadow"/>
 <tile id="168" type="path on meadow"/>
 <tile id="169" type="forest floor on sand"/>
 <tile id="170" type="path on meadow"/>
 <tile id="171" type="path on meadow"/>
 <tile id="172" type="path on meadow"/>
 <tile id="173" type="forest floor on sand"/>
 <tile id="174" type="forest floor on sand"/>
 <tile id="175" type="path on meadow"/>
 <tile id="176" type="forest floor on sand on shallow"/>
 <tile id="177" type="forest floor on sand on shallow"/>
 <tile id="178" type="forest floor on sand on shallow"/>
 <tile id="179" type="sand on shallow on water"/>
 <tile id="180" type="shallow on water"/>
 <tile id="181" type="forest floor on sand"/>
 <tile id="182" type="path on meadow on grass"/>
 <tile id="183" type="sand on shallow on water"/>
 <tile id="184" type="path on meadow on grass"/>
 <tile id="185" type="path on grass"/>
 <tile id="186" type="path on grass"/>
 <tile id="187" type="grass on sand"/>
 <tile id="188" type="grass on sand"/>
 <tile id="189" type="path on grass"/>
 <tile id="190" type="forest floor on sand on shallow"/>
 <tile id="191" type="forest floor on sand on shallow"/>
 <tile id="192" type="sand on shallow on water"/>
 <tile id="193" type="forest floor on sand on shallow"/>
 <tile id="194" type="sand on shallow on water"/>
 <tile id="195" type="sand on shallow"/>
 <tile id="196" type="forest floor on meadow on sand"/>
 <tile id="197" type="meadow on sand"/>
 <tile id="198" type="meadow on sand"/>
 <tile id="199" type="meadow on sand"/>
 <tile id="200" type="path on meadow on grass"/>
 <tile id="201" type="path on meadow on grass"/>
 <tile id="202" type="path on forest floor on meadow"/>
 <tile id="203" type="path on forest floor"/>
 <tile id="204" type="path on forest floor"/>
 <tile id="205" type="meadow on grass on sand"/>
 <tile id="206" type="path on meadow on grass"/>
 <tile id="207" type="path on forest floor on meadow"/>
 <tile id="208" type="path on forest floor"/>
 <tile id="209" type="path on forest floor"/>
 <tile id="210" type="meadow on grass on sand"/>
 <tile id="211" type="path on grass"/>
 <tile id="212" type="forest floor on meadow on sand"/>
 <tile id="213" type="meadow on sand on shallow"/>
 <tile id="214" type="meadow on sand"/>
 <tile id="215" type="meadow on sand"/>
 <tile id="216" type="grass on sand"/>
 <tile id="217" type="path on forest floor"/>
 <tile id="218" type="path on forest floor"/>
 <tile id="219" type="path on forest floor"/>
 <tile id="220" type="path on forest floor"/>
 <tile id="221" type="path on forest floor on sand on shallow"/>
 <tile id="222" type="forest floor on sand on shallow"/>
 <tile id="223" type="forest floor on sand on shallow"/>
 <tile id="224" type="forest floor on meadow on sand"/>
 <tile id="225" type="meadow on sand on shallow"/>
 <tile id="226" type="meadow on grass on sand"/>
 <tile id="227" type="path on forest floor on sand"/>
 <tile id="228" type="path on sand"/>
 <tile id="229" type="path on sand on shallow"/>
 <tile id="230" type="path on bridge on shallow"/>
 <tile id="231" type="path on bridge on shallow on water"/>
 <tile id="232" type="forest floor on sand on shallow"/>
 <tile id="233" type="bridge on shallow"/>
 <tile id="234" type="bridge on water"/>
 <tile id="235" type="bridge on shallow on water"/>
 <tile id="236" type="bridge on shallow on water"/>
 <tile id="237" type="bridge on shallow on water"/>
 <tile id="238" type="bridge on sand on shallow"/>
 <tile id="239" type="forest floor on meadow on sand"/>
 <tile id="240" type="path on bridge on shallow"/>
 <tile id="241" type="path on bridge on forest floor on sand"/>
 <tile id="242" type="path on sand on shallow"/>
 <tile id="243" type="meadow on sand on shallow"/>
 <tile id="244" type="meadow on sand on shallow"/>
 <tile id="245" type="path on forest floor on sand"/>
 <tile id="246" type="path on forest floor on meadow"/>
 <tile id="247" type="meadow on sand on shallow"/>
 <tile id="248" type="path on forest floor on meadow"/>
 <tile id="249" type="meadow on grass on sand"/>
 <tile id="250" type="forest floor on meadow on sand"/>
 <tile id="251" type="path on meadow on grass"/>
 <tile id="252" type="grass on sand on shallow"/>
 <tile id="253" type="grass on sand on shallow"/>
 <tile id="254" type="path on meadow on grass"/>
 <tile id="255" type="meadow on grass on sand"/>
 <tile id="256" type="forest floor on meadow on sand"/>
 <tile id="257" type="forest floor on meadow on sand"/>
 <tile id="258" type="forest floor on meadow on sand"/>
 <tile id="259" type="water on deep"/>
 <tile id="260" type="forest floor on meadow on sand"/>
 <tile id="261" type="forest floor on meadow on sand"/>
 <tile id="262" type="forest floor on meadow on sand"/>
 <tile id="263" type="meadow on sand on shallow"/>
 <tile id="264" type="meadow on grass on sand"/>
 <tile id="265" type="forest floor on meadow on sand"/>
 <tile id="266" type="forest floor on meadow on sand"/>
 <tile id="267" type="path on forest floor on meadow"/>
 <tile id="268" type="path on meadow"/>
 <tile id="269" type="path on forest floor on meadow"/>
 <tile id="270" type="path on forest floor"/>
 <tile id="271" type="path on forest floor on meadow"/>
 <tile id="272" type="forest floor on meadow on sand"/>
 <tile id="273" type="path on meadow on grass"/>
 <tile id="274" type="path on meadow on grass"/>
 <tile id="275" type="forest floor on meadow on sand"/>
 <tile id="276" type="meadow on grass on sand"/>
 <tile id="277" type="path on forest floor"/>
 <tile id="278" type="path on forest floor on meadow"/>
 <tile id="279" type="path on forest floor"/>
 <tile id="280" type="path on forest floor on meadow"/>
 <tile id="281" type="path on meadow on grass"/>
 <tile id="282" type="meadow on grass on sand"/>
 <tile id="283" type="meadow on grass on sand"/>
 <tile id="284" type="meadow on grass on sand"/>
</tileset>
